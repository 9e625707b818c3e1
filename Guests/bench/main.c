// Runs every test and prints `name nanoseconds-per-operation`. As process 1 it says first that it
// was reached, and powers the machine off at the end.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

static struct bench_test *tests;
const char *bench_program;

void bench_add(struct bench_test *test) {
  struct bench_test **place = &tests;
  while (*place && strcmp((*place)->name, test->name) < 0) place = &(*place)->next;
  test->next = *place;
  *place = test;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

// The best of three windows: noise from the host only ever makes one slower.
static double measure(struct bench_test *test, double window, uint64_t *check) {
  double best = 0;
  *check ^= test->run();
  for (int repeat = 0; repeat < 3; repeat++) {
    double start = seconds(), elapsed;
    long batches = 0;
    do {
      *check ^= test->run();
      batches++;
      elapsed = seconds() - start;
    } while (elapsed < window);
    double each = elapsed * 1e9 / (batches * test->operations);
    if (repeat == 0 || each < best) best = each;
  }
  return best;
}

int main(int count, char **arguments) {
  bench_program = arguments[0];
  // The child of the test of exec.
  if (count == 2 && !strcmp(arguments[1], "--nothing")) return 0;

  int is_init = getpid() == 1;
  double window = 0.1;
  const char *only = getenv("BENCH_ONLY");
  uint64_t check = 0;
  setvbuf(stdout, 0, _IOLBF, 0);
  if (is_init) puts("apus-bench: init");
  if (getenv("BENCH_NOTHING")) tests = 0;
  for (struct bench_test *test = tests; test; test = test->next) {
    if (only && strcmp(only, test->name)) continue;
    double each = measure(test, window, &check);
    printf("apus-bench: %s %.4f\n", test->name, each);
  }
  printf("apus-bench: end %llx\n", (unsigned long long)check);
  if (is_init) {
    sync();
    reboot(RB_POWER_OFF);
  }
  return 0;
}
