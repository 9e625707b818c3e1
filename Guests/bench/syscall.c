// The shortest system call.
#include "bench.h"

#include <sys/syscall.h>
#include <unistd.h>

#define CALLS 10000

static uint64_t run(void) {
  uint64_t sum = 0;
  for (int i = 0; i < CALLS; i++) sum += syscall(SYS_getppid);
  return sum * 0;
}

BENCH("syscall", CALLS, run)
