// Samples of where a thread is. The handler touches nothing but the sampler's own memory.
#define _GNU_SOURCE
#include "Sampling.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static _Thread_local struct apus_sampler *current __attribute__((tls_model("initial-exec")));

static void on_timer(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  struct apus_sampler *sampler = current;
  if (!sampler) return;
  if (sampler->count == sampler->capacity) {
    sampler->lost++;
    return;
  }
  sampler->samples[sampler->count++] = (struct apus_sample){
      .instruction = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP],
      .page = *sampler->page,
      .activity = *sampler->activity,
  };
}

int apus_sampling_begin(struct apus_sampler *sampler, uint64_t interval) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_timer;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGPROF, &action, 0)) return -errno;
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGPROF;
  event._sigev_un._tid = gettid();
  timer_t timer;
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)) return -errno;
  sampler->timer = (uintptr_t)timer;
  current = sampler;
  struct timespec each = {(time_t)(interval / 1000000000), (long)(interval % 1000000000)};
  struct itimerspec times = {.it_interval = each, .it_value = each};
  return timer_settime(timer, 0, &times, 0) ? -errno : 0;
}

void apus_sampling_end(struct apus_sampler *sampler) {
  timer_delete((timer_t)sampler->timer);
  current = 0;
}
