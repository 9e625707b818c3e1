// The benchmark guest: each file is one test, and adds itself to the list.
#ifndef APUS_BENCH_H
#define APUS_BENCH_H

#include <stddef.h>
#include <stdint.h>

/// One test. `run` does a batch of a few milliseconds on real hardware, and returns a number that
/// depends on all of its work, so that no compiler leaves the work out.
struct bench_test {
  const char *name;
  /// Operations in one batch; results are nanoseconds for one.
  double operations;
  uint64_t (*run)(void);
  struct bench_test *next;
};

void bench_add(struct bench_test *test);

/// Where this program's own file is.
extern const char *bench_program;

#define BENCH(name, operations, function)                                  \
  static struct bench_test bench_entry = {name, operations, function, 0}; \
  __attribute__((constructor)) static void bench_enter(void) { bench_add(&bench_entry); }

#endif
