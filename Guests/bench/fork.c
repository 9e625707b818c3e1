// A child that does nothing, awaited.
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 20

static uint64_t run(void) {
  for (int i = 0; i < CHILDREN; i++) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, 0, 0);
  }
  return 0;
}

BENCH("fork", CHILDREN, run)
