#define _GNU_SOURCE
#include "Ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct apus_ring {
  int fd;
  struct io_uring_params params;
  char *rings;
  size_t rings_size;
  struct io_uring_sqe *requests;
};

static unsigned int *field(struct apus_ring *ring, unsigned int offset) {
  return (unsigned int *)(ring->rings + offset);
}

static size_t larger(size_t one, size_t other) { return one > other ? one : other; }

struct apus_ring *apus_ring_open(unsigned int entries) {
  struct apus_ring *ring = calloc(1, sizeof *ring);
  if (!ring) return NULL;
  ring->fd = (int)syscall(SYS_io_uring_setup, entries, &ring->params);
  // Kernels before 5.5 keep two mappings, and read the pieces later.
  unsigned int needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_NODROP;
  if (ring->fd < 0 || (ring->params.features & needed) != needed) goto refused;
  struct io_uring_params *params = &ring->params;
  ring->rings_size =
      larger(params->sq_off.array + params->sq_entries * sizeof(unsigned int),
             params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe));
  ring->rings = mmap(NULL, ring->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                     ring->fd, IORING_OFF_SQ_RING);
  if (ring->rings == MAP_FAILED) goto refused;
  ring->requests = mmap(NULL, params->sq_entries * sizeof(struct io_uring_sqe),
                        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                        IORING_OFF_SQES);
  if (ring->requests != MAP_FAILED) return ring;
  munmap(ring->rings, ring->rings_size);
refused:
  if (ring->fd >= 0) close(ring->fd);
  free(ring);
  return NULL;
}

void apus_ring_close(struct apus_ring *ring) {
  munmap(ring->requests, ring->params.sq_entries * sizeof(struct io_uring_sqe));
  munmap(ring->rings, ring->rings_size);
  close(ring->fd);
  free(ring);
}

static int submit(struct apus_ring *ring, const struct io_uring_sqe *request) {
  unsigned int *tail = field(ring, ring->params.sq_off.tail);
  unsigned int place = *tail & (ring->params.sq_entries - 1);
  ring->requests[place] = *request;
  field(ring, ring->params.sq_off.array)[place] = place;
  __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
  long taken;
  do taken = syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0);
  while (taken < 0 && errno == EINTR);
  if (taken == 1) return 0;
  // The kernel has not looked at it, so it never was.
  int error = taken < 0 ? -errno : -EAGAIN;
  __atomic_store_n(tail, *tail - 1, __ATOMIC_RELEASE);
  return error;
}

int apus_ring_transfer(struct apus_ring *ring, int fd, int is_write, const void *pieces,
                       unsigned int count, uint64_t offset, uint64_t tag) {
  struct io_uring_sqe request;
  memset(&request, 0, sizeof request);
  request.opcode = is_write ? IORING_OP_WRITEV : IORING_OP_READV;
  request.fd = fd;
  request.addr = (uintptr_t)pieces;
  request.len = count;
  request.off = offset;
  request.user_data = tag;
  return submit(ring, &request);
}

int apus_ring_wake(struct apus_ring *ring, uint64_t tag) {
  struct io_uring_sqe request;
  memset(&request, 0, sizeof request);
  request.opcode = IORING_OP_NOP;
  request.user_data = tag;
  return submit(ring, &request);
}

int apus_ring_wait(struct apus_ring *ring, uint64_t *tag, int *result) {
  unsigned int *head = field(ring, ring->params.cq_off.head);
  unsigned int *tail = field(ring, ring->params.cq_off.tail);
  while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
    long status = syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    if (status < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY) return -errno;
  }
  struct io_uring_cqe *done =
      (struct io_uring_cqe *)(ring->rings + ring->params.cq_off.cqes) +
      (*head & (ring->params.cq_entries - 1));
  *tag = done->user_data;
  *result = done->res;
  __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
  return 0;
}
