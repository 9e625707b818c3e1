#ifndef APUS_RING_H
#define APUS_RING_H

#include <stdint.h>

/// Requests that the kernel carries out by itself (io_uring). One thread waits for what is done;
/// others ask, one at a time.
struct apus_ring;

/// NULL where the kernel, or who confines this process, has no such thing.
struct apus_ring *apus_ring_open(unsigned int entries);
void apus_ring_close(struct apus_ring *ring);

/// Asks for a transfer; the array of pieces (struct iovec) is not needed any more when this returns.
/// 0, or -errno when nothing was asked for.
int apus_ring_transfer(struct apus_ring *ring, int fd, int is_write, const void *pieces,
                       unsigned int count, uint64_t offset, uint64_t tag);

/// Has the waiting thread get `tag` as if a transfer were done.
int apus_ring_wake(struct apus_ring *ring, uint64_t tag);

/// Waits for the next that is done: its tag, and how many bytes, or -errno. 0, or -errno when there
/// is nothing to wait for any more.
int apus_ring_wait(struct apus_ring *ring, uint64_t *tag, int *result);

#endif
