// Primes below a quarter of a million: byte stores with growing strides, in the second-level cache.
#include "bench.h"

#include <string.h>

#define LIMIT 250000

static unsigned char composite[LIMIT];

static uint64_t run(void) {
  uint64_t primes = 0;
  memset(composite, 0, LIMIT);
  for (uint32_t i = 2; i < LIMIT; i++) {
    if (composite[i]) continue;
    primes++;
    for (uint64_t j = (uint64_t)i * i; j < LIMIT; j += i) composite[j] = 1;
  }
  return primes;
}

BENCH("sieve", LIMIT, run)
