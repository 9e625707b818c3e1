// A child that becomes this program anew, which ends at once.
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 10

static uint64_t run(void) {
  for (int i = 0; i < CHILDREN; i++) {
    pid_t child = fork();
    if (child == 0) {
      execl(bench_program, bench_program, "--nothing", (char *)0);
      _exit(1);
    }
    if (child > 0) waitpid(child, 0, 0);
  }
  return 0;
}

BENCH("exec", CHILDREN, run)
