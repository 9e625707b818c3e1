// Calls through a table of functions, in an order that is hard to foresee.
#include "bench.h"

#define CALLS 400000

typedef uint64_t (*step)(uint64_t);

static uint64_t add(uint64_t x) { return x + 0x9e3779b97f4a7c15; }
static uint64_t rotate(uint64_t x) { return x << 13 | x >> 51; }
static uint64_t flip(uint64_t x) { return ~x; }
static uint64_t mix(uint64_t x) { return x ^ x >> 29; }
static uint64_t scale(uint64_t x) { return x * 5; }
static uint64_t fold(uint64_t x) { return x ^ x << 17; }
static uint64_t less(uint64_t x) { return x - 12345; }
static uint64_t swap(uint64_t x) { return __builtin_bswap64(x); }

static step volatile steps[8] = {add, rotate, flip, mix, scale, fold, less, swap};

static uint64_t run(void) {
  uint64_t value = 1;
  uint32_t order = 1;
  for (int i = 0; i < CALLS; i++) {
    order = order * 1664525 + 1013904223;
    value = steps[order >> 29](value);
  }
  return value;
}

BENCH("indirect", CALLS, run)
