// A signal to oneself, and its handler.
#include "bench.h"

#include <signal.h>
#include <unistd.h>

#define SIGNALS 2000

static volatile int taken;

static void take(int number) {
  (void)number;
  taken++;
}

static uint64_t run(void) {
  struct sigaction action = {.sa_handler = take};
  sigaction(SIGUSR1, &action, 0);
  taken = 0;
  for (int i = 0; i < SIGNALS; i++) kill(getpid(), SIGUSR1);
  return taken;
}

BENCH("signal", SIGNALS, run)
