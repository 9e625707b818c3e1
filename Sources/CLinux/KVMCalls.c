#define _GNU_SOURCE
#include "KVMCalls.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Far from the numbers that debuggers, profilers and language runtimes like.
#define KICK_SIGNAL (SIGRTMIN + 14)

static void ignore(int number) { (void)number; }

int apus_prepare_kick(void) {
  // Without SA_RESTART: the interrupted call must return.
  struct sigaction action = {.sa_handler = ignore};
  return sigaction(KICK_SIGNAL, &action, 0) < 0 ? -errno : 0;
}

int apus_thread_id(void) { return (int)syscall(SYS_gettid); }

int apus_kick(int thread) {
  return syscall(SYS_tgkill, getpid(), thread, KICK_SIGNAL) < 0 ? -errno : 0;
}

int apus_exact_timers(void) { return prctl(PR_SET_TIMERSLACK, 1) < 0 ? -errno : 0; }

int apus_kick_periodically(unsigned int milliseconds) {
  static __thread timer_t timer;
  static __thread int exists;
  if (exists) {
    timer_delete(timer);
    exists = 0;
  }
  if (milliseconds == 0) return 0;

  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK_SIGNAL};
  event._sigev_un._tid = apus_thread_id();
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) return -errno;
  exists = 1;
  struct timespec period = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  struct itimerspec setting = {period, period};
  return timer_settime(timer, 0, &setting, 0) < 0 ? -errno : 0;
}
