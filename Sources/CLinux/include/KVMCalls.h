// KVM's structures, and signals for the threads that run its processors.
#ifndef APUS_KVM_CALLS_H
#define APUS_KVM_CALLS_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

// Newer than some kernels' headers.

/// `struct kvm_userspace_memory_region2`.
struct apus_memory_region2 {
  uint32_t slot;
  uint32_t flags;
  uint64_t guest_phys_addr;
  uint64_t memory_size;
  uint64_t userspace_addr;
  uint64_t guest_memfd_offset;
  uint32_t guest_memfd;
  uint32_t pad1;
  uint64_t pad2[14];
};

/// KVM_EXIT_MEMORY_FAULT, and what `kvm_run` has with it.
enum { APUS_KVM_EXIT_MEMORY_FAULT = 39 };
struct apus_memory_fault {
  uint64_t flags;
  uint64_t gpa;
  uint64_t size;
};

/// `struct kvm_irqchip`, whose bit fields Swift cannot read.
struct apus_irqchip {
  uint32_t chip_id;
  uint32_t pad;
  union {
    char dummy[512];
    struct kvm_pic_state pic;
    struct apus_ioapic_state {
      uint64_t base_address;
      uint32_t ioregsel;
      uint32_t id;
      uint32_t irr;
      uint32_t pad;
      uint64_t redirtbl[KVM_IOAPIC_NUM_PINS];
    } ioapic;
  } chip;
};

/// Where what belongs to an exit starts in `struct kvm_run`.
static const size_t apus_kvm_run_exit_offset = offsetof(struct kvm_run, hw);

/// Installs the empty handler of the signal that takes a thread out of KVM_RUN; once is enough.
int apus_prepare_kick(void);

/// This thread's number, for `apus_kick`.
int apus_thread_id(void);

/// Takes a thread of this process out of KVM_RUN.
int apus_kick(int thread);

/// Gives this thread's timers the finest grain that the kernel has.
int apus_exact_timers(void);

/// Kicks the calling thread every `milliseconds` until they are 0.
int apus_kick_periodically(unsigned int milliseconds);

#endif
