// Samples of where a thread is, for profiles.
#ifndef APUS_SAMPLING_H
#define APUS_SAMPLING_H

#include <stdint.h>

/// What the timer's signal found: the host's instruction pointer, and two words of the sampler's.
struct apus_sample {
  uint64_t instruction;
  uint64_t page;
  uint64_t activity;
};

/// A thread's samples. Only that thread uses it while it samples.
struct apus_sampler {
  /// Words that each sample takes along.
  const uint64_t *page;
  const uint64_t *activity;
  struct apus_sample *samples;
  uint64_t capacity;
  /// How many are there, and how many found no room.
  uint64_t count;
  uint64_t lost;
  uintptr_t timer;
};

/// Takes a sample of this thread each `interval` nanoseconds of its processor time, by SIGPROF.
/// Returns 0 or -errno.
int apus_sampling_begin(struct apus_sampler *sampler, uint64_t interval);
void apus_sampling_end(struct apus_sampler *sampler);

#endif
