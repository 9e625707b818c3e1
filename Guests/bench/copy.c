// Copies of 64 KiB with the C library's memcpy.
#include "bench.h"

#include <string.h>

#define SIZE 65536

static unsigned char from[SIZE], to[SIZE];
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static uint64_t run(void) {
  for (int i = 0; i < 200; i++) {
    from[i] = i;
    copy(to, from, SIZE);
  }
  return to[100];
}

// For each KiB.
BENCH("memcpy", 200.0 * SIZE / 1024, run)
