// What Swift cannot call by itself: variadic system calls, feature-macro headers, KVM's structs.
// Every function returns -errno on failure, so that Swift never reads errno.
#ifndef APUS_CLINUX_H
#define APUS_CLINUX_H

#include "Events.h"
#include "Files.h"
#include "HostProcessor.h"
#include "KVMCalls.h"
#include "Ring.h"
#include "Sampling.h"
#include "Tree.h"

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

/// ioctl(2) with a pointer-sized argument.
long apus_ioctl(int fd, unsigned long request, uintptr_t argument);

/// memfd_create(2), close-on-exec.
int apus_memfd_create(const char *name, unsigned int flags);

/// Points the GS base of this thread at `base` (arch_prctl).
long apus_set_gs_base(uintptr_t base);

/// Whether the program at `path` gets capabilities that its caller may lack.
int apus_has_capabilities(const char *path);

/// Sleeps while the 32-bit word is `value`, until it is woken or a signal arrives.
void apus_futex_wait(const void *word, uint32_t value);
/// Wakes everyone who sleeps on the word.
void apus_futex_wake(const void *word);

/// Has SIGSEGV, SIGBUS, SIGFPE and SIGILL raised by code in [start, end) go on at `thunk`, with
/// R11 = the faulting address and RCX = the exception's vector. Other faults go to whoever had
/// installed a handler before. At most 16384 ranges; returns -ENOSPC beyond.
int apus_guard_code(uintptr_t start, uintptr_t end, uintptr_t thunk);
/// What a thread that runs a guest does about memory that it cannot reach (SIGSEGV, SIGBUS).
struct apus_recovery {
  /// Where it goes on when that happens outside guarded code; 0 when it cannot.
  uintptr_t thunk;
  /// Set by the signal handler: what could not be reached, and RCX at that time.
  uintptr_t address;
  uint64_t count;
};
extern _Thread_local struct apus_recovery *apus_recovery
    __attribute__((tls_model("initial-exec")));
/// Sets it for this thread; null where memory that cannot be reached is nobody's business.
static inline void apus_recover_with(struct apus_recovery *recovery) { apus_recovery = recovery; }
/// Whether the memory of the page of an address can be read or written.
int apus_can_reach(uintptr_t address, int write);

/// Ends that for the range which starts there.
void apus_forget_code(uintptr_t start);

#endif
