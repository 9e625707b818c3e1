// Numbers that the KVM header builds with macros Swift cannot read, and signals for its threads.
#ifndef APUS_KVM_CALLS_H
#define APUS_KVM_CALLS_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

static const unsigned long apus_kvm_get_api_version = KVM_GET_API_VERSION;
static const unsigned long apus_kvm_check_extension = KVM_CHECK_EXTENSION;
static const unsigned long apus_kvm_create_vm = KVM_CREATE_VM;
static const unsigned long apus_kvm_get_vcpu_mmap_size = KVM_GET_VCPU_MMAP_SIZE;
static const unsigned long apus_kvm_get_supported_cpuid = KVM_GET_SUPPORTED_CPUID;
static const unsigned long apus_kvm_set_tss_addr = KVM_SET_TSS_ADDR;
static const unsigned long apus_kvm_set_identity_map_addr = KVM_SET_IDENTITY_MAP_ADDR;
static const unsigned long apus_kvm_set_user_memory_region = KVM_SET_USER_MEMORY_REGION;
static const unsigned long apus_kvm_create_irqchip = KVM_CREATE_IRQCHIP;
static const unsigned long apus_kvm_create_pit2 = KVM_CREATE_PIT2;
static const unsigned long apus_kvm_irq_line = KVM_IRQ_LINE;
static const unsigned long apus_kvm_signal_msi = KVM_SIGNAL_MSI;
static const unsigned long apus_kvm_create_vcpu = KVM_CREATE_VCPU;
static const unsigned long apus_kvm_run = KVM_RUN;
static const unsigned long apus_kvm_get_regs = KVM_GET_REGS;
static const unsigned long apus_kvm_set_regs = KVM_SET_REGS;
static const unsigned long apus_kvm_get_sregs = KVM_GET_SREGS;
static const unsigned long apus_kvm_set_sregs = KVM_SET_SREGS;
static const unsigned long apus_kvm_get_msrs = KVM_GET_MSRS;
static const unsigned long apus_kvm_set_msrs = KVM_SET_MSRS;
static const unsigned long apus_kvm_set_cpuid2 = KVM_SET_CPUID2;
static const unsigned long apus_kvm_interrupt = KVM_INTERRUPT;

/// Where the data of a memory exit is in the page shared with the kernel.
static const unsigned long apus_kvm_run_mmio_data = offsetof(struct kvm_run, mmio.data);

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
