// A product of matrices of floats, with AVX2 and FMA where the processor has them.
#include "bench.h"

#include <string.h>

#define SIZE 96

static float left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];

__attribute__((constructor)) static void prepare(void) {
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++) {
      left[i][j] = (i * 3 + j) % 17 - 8;
      right[i][j] = (i + j * 5) % 13 - 6;
    }
}

#define MULTIPLY(name, flags)                                                          \
  __attribute__((noinline, optimize("O3"), target(flags))) static void name(void) {    \
    for (int i = 0; i < SIZE; i++) {                                                   \
      memset(product[i], 0, sizeof product[i]);                                        \
      for (int k = 0; k < SIZE; k++)                                                   \
        for (int j = 0; j < SIZE; j++) product[i][j] += left[i][k] * right[k][j];      \
    }                                                                                  \
  }

MULTIPLY(multiply_wide, "avx2,fma")
MULTIPLY(multiply_plain, "sse2")

static uint64_t run(void) {
  int is_wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  uint32_t bits;
  for (int round = 0; round < 10; round++) {
    left[0][0] = round;
    if (is_wide) multiply_wide();
    else multiply_plain();
  }
  memcpy(&bits, &product[3][5], sizeof bits);
  return bits;
}

BENCH("vector-fp", 10.0 * SIZE * SIZE * SIZE, run)
