// Fibonacci numbers by recursion: calls and returns, and little else.
#include "bench.h"

__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static uint64_t fibonacci(
    uint32_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t run(void) { return fibonacci(25); }

// fibonacci(25) calls itself 242,784 times.
BENCH("calls", 242785, run)
