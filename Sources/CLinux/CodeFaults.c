// Faults of the host's processor inside translated code. The handler only rewrites the interrupted
// context, so it is safe at any point; it runs on the thread's alternate stack if there is one.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

enum { RANGES = 16384 };

struct code_range {
  _Atomic uintptr_t start;
  uintptr_t end;
  uintptr_t thunk;
};

static struct code_range ranges[RANGES];
static _Atomic int range_count;
static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction previous[64];

static void pass_on(int number, siginfo_t *info, void *context) {
  struct sigaction *old = &previous[number];
  if (old->sa_flags & SA_SIGINFO) {
    old->sa_sigaction(number, info, context);
  } else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
    old->sa_handler(number);
  } else {
    // Not ours and nobody else's: the instruction faults again and ends the process.
    signal(number, SIG_DFL);
  }
}

_Thread_local struct apus_recovery *apus_recovery
    __attribute__((tls_model("initial-exec")));

static void on_fault(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  uintptr_t address = (uintptr_t)registers[REG_RIP];
  struct apus_recovery *recovery = apus_recovery;
  int is_memory = (number == SIGSEGV && registers[REG_TRAPNO] == 14) || number == SIGBUS;
  if (recovery && is_memory) {
    recovery->address = (uintptr_t)info->si_addr;
    recovery->count = (uint64_t)registers[REG_RCX];
  }
  int count = atomic_load(&range_count);
  for (int i = 0; i < count; i++) {
    uintptr_t start = atomic_load(&ranges[i].start);
    if (start != 0 && address >= start && address < ranges[i].end) {
      registers[REG_R11] = (greg_t)address;
      registers[REG_RCX] = registers[REG_TRAPNO];
      registers[REG_RIP] = (greg_t)ranges[i].thunk;
      return;
    }
  }
  if (recovery && is_memory && recovery->thunk) {
    registers[REG_RIP] = (greg_t)recovery->thunk;
    return;
  }
  pass_on(number, info, context);
}

static void install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof fault_signals / sizeof fault_signals[0]; i++)
    sigaction(fault_signals[i], &action, &previous[fault_signals[i]]);
}

int apus_guard_code(uintptr_t start, uintptr_t end, uintptr_t thunk) {
  static _Atomic int installed;
  if (atomic_exchange(&installed, 1) == 0) install();
  for (int i = 0; i < RANGES; i++) {
    uintptr_t expected = 0;
    // 1 reserves the slot: no code is there, so a handler running now passes it by.
    if (!atomic_compare_exchange_strong(&ranges[i].start, &expected, (uintptr_t)1)) continue;
    ranges[i].end = 0;
    ranges[i].thunk = thunk;
    ranges[i].end = end;
    atomic_store(&ranges[i].start, start);
    int count = atomic_load(&range_count);
    while (count < i + 1 && !atomic_compare_exchange_weak(&range_count, &count, i + 1)) {
    }
    return 0;
  }
  return -ENOSPC;
}

void apus_forget_code(uintptr_t start) {
  int count = atomic_load(&range_count);
  for (int i = 0; i < count; i++) {
    uintptr_t expected = start;
    if (atomic_compare_exchange_strong(&ranges[i].start, &expected, (uintptr_t)0)) return;
  }
}
