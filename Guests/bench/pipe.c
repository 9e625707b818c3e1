// A byte to another process and back: two switches.
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

#define TRIPS 1000

static uint64_t run(void) {
  int there[2], back[2];
  char byte = 1;
  if (pipe(there) || pipe(back)) return 0;
  pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1)
      if (write(back[1], &byte, 1) != 1) break;
    _exit(0);
  }
  for (int i = 0; i < TRIPS && child > 0; i++)
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) break;
  close(there[0]);
  close(there[1]);
  close(back[0]);
  close(back[1]);
  if (child > 0) waitpid(child, 0, 0);
  return 0;
}

BENCH("pipe", TRIPS, run)
