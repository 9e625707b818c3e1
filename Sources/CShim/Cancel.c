// Threads that are cancelled while they run a processor. The C library cancels by a signal of its
// own, whose handler unwinds the thread where it stands. As with other signals (Signals.c), the call
// in progress has to end first; but this one's handler is not to be had by sigaction(2).
#include "Next.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIGCANCEL = 32 };

/// The kernel's `struct sigaction`.
struct kernel_action {
  void (*handler)(int, siginfo_t *, void *);
  uint64_t flags;
  void (*restorer)(void);
  uint64_t mask;
};

static struct kernel_action cancellation;

static long set_action(const struct kernel_action *new, struct kernel_action *old) {
  return apus_bare_call(SYS_rt_sigaction, SIGCANCEL, (long)new, (long)old, 8, 0, 0);
}

static void on_cancel(int number, siginfo_t *info, void *context) {
  int error = errno;
  if (!apus_put_back(number, info, context)) cancellation.handler(number, info, context);
  errno = error;
}

static void *rest(void *nothing) {
  while (1) pause();
  return nothing;
}

/// Puts our handler before the C library's, which the first cancellation installs: of a thread that
/// is there for nothing else.
static void watch(void) {
  // The program's signals are not for it.
  sigset_t all, old;
  sigfillset(&all);
  apus_next()->signal_mask(SIG_SETMASK, &all, &old);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, rest, NULL);
  apus_next()->signal_mask(SIG_SETMASK, &old, NULL);
  if (error != 0) return;
  apus_next()->cancel(thread);
  pthread_join(thread, NULL);
  if (set_action(NULL, &cancellation) != 0 || cancellation.handler == NULL) return;
  struct kernel_action action = cancellation;
  action.handler = on_cancel;
  set_action(&action, NULL);
}

EXPORT int pthread_cancel(pthread_t thread) {
  static pthread_once_t is_watched = PTHREAD_ONCE_INIT;
  if (apus_shim_is_active) pthread_once(&is_watched, watch);
  return apus_next()->cancel(thread);
}
