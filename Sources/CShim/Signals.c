// Signals that arrive while a call of KVM's is in progress. The kernel ends KVM_RUN for them and
// runs the program's handler on the way out; so do we. From the first opening of /dev/kvm on, a
// handler of ours stands before each of the program's. In the middle of a call it notes the signal,
// has the call end, and puts the signal back with every signal blocked; when the call is over and
// the program's mask is in force again, the kernel delivers it as if nothing had been.
#include "Next.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

int apus_shim_is_active;
int apus_shim_process;

/// What the program wants done about each signal; two records, of which one is current, since
/// handlers read while others write.
static struct {
  struct sigaction records[2];
  int current;
  int is_ours;
} wanted[_NSIG];
static pthread_mutex_t wanted_lock = PTHREAD_MUTEX_INITIALIZER;

THREAD_LOCAL int depth;           // calls in progress on this thread
THREAD_LOCAL void *running;       // the processor that it runs
THREAD_LOCAL int is_signalled;    // a signal was put back
THREAD_LOCAL int is_mask_changed; // `old_mask` is to be put back
THREAD_LOCAL uint64_t old_mask;
THREAD_LOCAL int is_prepared;     // faults are let through

static uint64_t bit(int number) { return 1ULL << (number - 1); }

/// Raised by the engine by design; they must never be blocked where it runs.
static uint64_t faults(void) {
  return bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP);
}

static int is_fault(int number) { return faults() >> (number - 1) & 1; }

static long set_mask(int how, const uint64_t *mask, uint64_t *old) {
  return apus_bare_call(SYS_rt_sigprocmask, how, (long)mask, (long)old, 8, 0, 0);
}

static int real_action(int number, const struct sigaction *new, struct sigaction *old) {
  return apus_next()->sigaction(number, new, old);
}

int apus_put_back(int number, siginfo_t *info, void *interrupted) {
  if (depth == 0) return 0;
  ucontext_t *context = interrupted;
  uint64_t all = ~faults();
  // The kernel's sets are 8 bytes long, whatever the C library's type says.
  if (!is_mask_changed) memcpy(&old_mask, &context->uc_sigmask, sizeof old_mask);
  is_mask_changed = 1;
  is_signalled = 1;
  memcpy(&context->uc_sigmask, &all, sizeof all);
  set_mask(SIG_BLOCK, &all, NULL);
  apus_bare_call(
      SYS_rt_tgsigqueueinfo, getpid(), apus_bare_call(SYS_gettid, 0, 0, 0, 0, 0, 0), number,
      (long)info, 0, 0);
  if (running != NULL) apus_shim_ring(running);
  return 1;
}

/// Does what the kernel does without a handler.
static void act_by_default(int number, siginfo_t *info) {
  struct sigaction none = {.sa_handler = SIG_DFL};
  real_action(number, &none, NULL);
  __atomic_store_n(&wanted[number].is_ours, 0, __ATOMIC_RELEASE);
  // A fault happens again by itself.
  if (is_fault(number) && info->si_code > 0) return;
  apus_bare_call(
      SYS_rt_tgsigqueueinfo, getpid(), apus_bare_call(SYS_gettid, 0, 0, 0, 0, 0, 0), number,
      (long)info, 0, 0);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  int error = errno;
  if (!(is_fault(number) && info->si_code > 0) && apus_put_back(number, info, context)) {
    errno = error;
    return;
  }
  struct sigaction action =
      wanted[number].records[__atomic_load_n(&wanted[number].current, __ATOMIC_ACQUIRE)];
  if (action.sa_handler == SIG_IGN && !(is_fault(number) && info->si_code > 0)) return;
  if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
    act_by_default(number, info);
    return;
  }
  if (action.sa_flags & SA_RESETHAND) {
    struct sigaction none = {.sa_handler = SIG_DFL};
    sigaction(number, &none, NULL);
  }
  if (is_fault(number)) {
    // The engine's handler, which came first, blocks nothing.
    uint64_t mask;
    memcpy(&mask, &action.sa_mask, sizeof mask);
    if (!(action.sa_flags & SA_NODEFER)) mask |= bit(number);
    set_mask(SIG_BLOCK, &mask, NULL);
  }
  errno = error;
  if (action.sa_flags & SA_SIGINFO)
    action.sa_sigaction(number, info, context);
  else
    action.sa_handler(number);
}

/// Puts our handler before the program's, or takes it away where there is none.
static int install(int number) {
  struct sigaction action = wanted[number].records[wanted[number].current];
  int has_handler = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
  if (!has_handler && !is_fault(number)) {
    wanted[number].is_ours = 0;
    return real_action(number, &action, NULL);
  }
  // The engine's handler stands before ours already.
  if (is_fault(number) && wanted[number].is_ours) return 0;
  wanted[number].is_ours = 1;
  action.sa_sigaction = on_signal;
  action.sa_flags = (action.sa_flags & ~SA_RESETHAND) | SA_SIGINFO;
  if (is_fault(number)) action.sa_flags |= SA_ONSTACK | SA_NODEFER;
  return real_action(number, &action, NULL);
}

EXPORT int sigaction(int number, const struct sigaction *new, struct sigaction *old) {
  int is_usual = number < 1 || number >= _NSIG || number == SIGKILL || number == SIGSTOP;
  // Within a call, it is the engine that asks.
  if (is_usual || !apus_shim_is_active || depth > 0) return real_action(number, new, old);
  struct sigaction previous, next;
  if (new != NULL) next = *new;
  apus_shim_enter();
  pthread_mutex_lock(&wanted_lock);
  int result = 0, current = wanted[number].current;
  if (wanted[number].is_ours)
    previous = wanted[number].records[current];
  else
    result = real_action(number, NULL, &previous);
  if (result == 0 && new != NULL) {
    wanted[number].records[!current] = next;
    __atomic_store_n(&wanted[number].current, !current, __ATOMIC_RELEASE);
    result = install(number);
  }
  pthread_mutex_unlock(&wanted_lock);
  apus_shim_leave();
  if (result == 0 && old != NULL) *old = previous;
  return result;
}
EXPORT int __sigaction(int number, const struct sigaction *new, struct sigaction *old) {
  return sigaction(number, new, old);
}

static sighandler_t simple(int number, sighandler_t handler, int flags) {
  struct sigaction new = {.sa_handler = handler, .sa_flags = flags}, old;
  if (handler == SIG_ERR) {
    errno = EINVAL;
    return SIG_ERR;
  }
  return sigaction(number, &new, &old) < 0 ? SIG_ERR : old.sa_handler;
}

EXPORT sighandler_t signal(int number, sighandler_t handler) {
  return simple(number, handler, SA_RESTART);
}
EXPORT sighandler_t bsd_signal(int number, sighandler_t handler) {
  return signal(number, handler);
}
EXPORT sighandler_t ssignal(int number, sighandler_t handler) {
  return signal(number, handler);
}
EXPORT sighandler_t sysv_signal(int number, sighandler_t handler) {
  return simple(number, handler, (int)(SA_RESETHAND | SA_NODEFER));
}
EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler) {
  return sysv_signal(number, handler);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
  if (set == NULL || how == SIG_UNBLOCK || !apus_shim_is_active)
    return apus_next()->signal_mask(how, set, old);
  uint64_t mask;
  memcpy(&mask, set, sizeof mask);
  mask &= ~faults();
  sigset_t allowed = *set;
  memcpy(&allowed, &mask, sizeof mask);
  return apus_next()->signal_mask(how, &allowed, old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  int error = pthread_sigmask(how, set, old);
  return error == 0 ? 0 : (int)apus_result(-error);
}

static void after_fork(void) {
  apus_shim_process = getpid();
  // The threads that held locks are not here.
  pthread_mutex_init(&wanted_lock, NULL);
  apus_shim_forked();
}

void apus_shim_activate(void) {
  if (__atomic_exchange_n(&apus_shim_is_active, 1, __ATOMIC_ACQ_REL)) return;
  apus_shim_process = getpid();
  pthread_atfork(NULL, NULL, after_fork);
  pthread_mutex_lock(&wanted_lock);
  for (int number = 1; number < _NSIG; number++) {
    struct sigaction *record = &wanted[number].records[wanted[number].current];
    if (number == SIGKILL || number == SIGSTOP || real_action(number, NULL, record) < 0) continue;
    int has_handler = record->sa_handler != SIG_DFL && record->sa_handler != SIG_IGN;
    if (has_handler || is_fault(number)) install(number);
  }
  pthread_mutex_unlock(&wanted_lock);
}

void apus_shim_enter(void) {
  if (depth > 0) {
    depth++;
    return;
  }
  // First: a signal that comes right after is to be noticed.
  is_signalled = 0;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  depth = 1;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  if (is_prepared) return;
  uint64_t mask = faults();
  set_mask(SIG_UNBLOCK, &mask, NULL);
  is_prepared = 1;
}

void apus_shim_set_running(void *processor) { running = processor; }

void apus_shim_leave(void) {
  if (depth > 1) {
    depth--;
    return;
  }
  running = NULL;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  depth = 0;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  if (!is_mask_changed) return;
  is_mask_changed = 0;
  uint64_t mask = old_mask;
  set_mask(SIG_SETMASK, &mask, NULL);
}

int apus_shim_is_signalled(void) { return is_signalled; }

int apus_shim_swap_mask(uint64_t mask) {
  uint64_t present, pending = 0;
  mask &= ~faults();
  set_mask(SIG_BLOCK, NULL, &present);
  apus_bare_call(SYS_rt_sigpending, (long)&pending, 8, 0, 0, 0, 0);
  uint64_t opened = present & ~mask;
  if (pending & opened) return 1;
  // Those without a handler are to end the run too, not the process.
  for (int number = 1; number < _NSIG; number++) {
    if (!(opened >> (number - 1) & 1) || wanted[number].is_ours) continue;
    pthread_mutex_lock(&wanted_lock);
    real_action(number, NULL, &wanted[number].records[wanted[number].current]);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    real_action(number, &action, NULL);
    wanted[number].is_ours = 1;
    pthread_mutex_unlock(&wanted_lock);
  }
  if (!is_mask_changed) old_mask = present;
  is_mask_changed = 1;
  set_mask(SIG_SETMASK, &mask, NULL);
  return 0;
}

uint64_t apus_shim_block_all(void) {
  uint64_t mask = ~faults(), old;
  set_mask(SIG_BLOCK, &mask, &old);
  return old;
}

void apus_shim_unblock(uint64_t old) { set_mask(SIG_SETMASK, &old, NULL); }
