// The C library's sort of random numbers, with its calls of a comparison.
#include "bench.h"

#include <stdlib.h>

#define COUNT 20000

static int compare(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return a < b ? -1 : a > b;
}

static uint64_t run(void) {
  static uint32_t numbers[COUNT];
  uint32_t random = 1;
  for (int i = 0; i < COUNT; i++) numbers[i] = random = random * 1664525 + 1013904223;
  qsort(numbers, COUNT, sizeof numbers[0], compare);
  return numbers[COUNT / 2];
}

BENCH("sort", COUNT, run)
