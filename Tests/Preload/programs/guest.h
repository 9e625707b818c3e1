// A small machine for the test programs beside this file: real mode, 64 KiB of memory at 0, raw
// ioctls. A failed check says where, and ends the program with status 1.
#ifndef GUEST_H
#define GUEST_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(condition)                                                                     \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      fprintf(stderr, "%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #condition, errno,   \
              strerror(errno));                                                              \
      exit(1);                                                                               \
    }                                                                                        \
  } while (0)
#define REFUSED(call, number) CHECK((errno = 0, (call) == -1) && errno == (number))

enum { MEMORY = 0x10000 };

struct guest {
  int device, machine, cpu;
  uint8_t *memory;
  struct kvm_run *run;
  size_t run_size;
};

static inline struct guest make_machine(int device) {
  struct guest guest = {.device = device};
  guest.machine = ioctl(device, KVM_CREATE_VM, 0);
  CHECK(guest.machine >= 0);
  guest.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(guest.memory != MAP_FAILED);
  struct kvm_userspace_memory_region slot = {
      .memory_size = MEMORY, .userspace_addr = (uintptr_t)guest.memory};
  CHECK(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
  return guest;
}

static inline void make_cpu(struct guest *guest, const void *code, size_t size) {
  memcpy(guest->memory, code, size);
  guest->cpu = ioctl(guest->machine, KVM_CREATE_VCPU, 0);
  CHECK(guest->cpu >= 0);
  guest->run_size = (size_t)ioctl(guest->device, KVM_GET_VCPU_MMAP_SIZE, 0);
  guest->run =
      mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu, 0);
  CHECK(guest->run != MAP_FAILED);
  struct kvm_sregs special;
  CHECK(ioctl(guest->cpu, KVM_GET_SREGS, &special) == 0);
  special.cs.base = special.cs.selector = 0;
  CHECK(ioctl(guest->cpu, KVM_SET_SREGS, &special) == 0);
  struct kvm_regs registers = {.rflags = 2, .rsp = 0x8000};
  CHECK(ioctl(guest->cpu, KVM_SET_REGS, &registers) == 0);
}

/// Code that counts in AX and writes AL to port 0x10, forever.
static const uint8_t counting[] = {0x31, 0xc0, 0x40, 0xe6, 0x10, 0xeb, 0xfb};
/// Code that does nothing, forever.
static const uint8_t spinning[] = {0xeb, 0xfe};
/// Code that halts.
static const uint8_t halting[] = {0xf4};

static inline int open_device(void) {
  int device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  CHECK(device >= 0);
  return device;
}

static inline struct guest make_guest(const void *code, size_t size) {
  struct guest guest = make_machine(open_device());
  make_cpu(&guest, code, size);
  return guest;
}
#define GUEST(code) make_guest(code, sizeof code)

/// Runs to the next exit, which must be this one.
static inline void expect(struct guest *guest, uint32_t reason) {
  errno = 0;
  CHECK(ioctl(guest->cpu, KVM_RUN, 0) == 0);
  if (guest->run->exit_reason != reason)
    fprintf(stderr, "exit %u, not %u\n", guest->run->exit_reason, reason);
  CHECK(guest->run->exit_reason == reason);
}

/// The byte that `counting` has written.
static inline uint8_t written(struct guest *guest) {
  CHECK(guest->run->io.direction == KVM_EXIT_IO_OUT && guest->run->io.port == 0x10);
  CHECK(guest->run->io.size == 1 && guest->run->io.count == 1);
  return ((uint8_t *)guest->run)[guest->run->io.data_offset];
}

#endif
