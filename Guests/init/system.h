// Linux without a C library: system calls, and the few functions the compiler expects.
#ifndef SYSTEM_H
#define SYSTEM_H

#include <asm/unistd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline long call5(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

// Calls by name, with arguments of any type: CALL(read, 0, buffer, sizeof buffer).
#define CALL_ARGUMENTS(a, b, c, d, e, ...) \
  (long)(a), (long)(b), (long)(c), (long)(d), (long)(e)
#define CALL(name, ...) call5(__NR_##name, CALL_ARGUMENTS(__VA_ARGS__, 0, 0, 0, 0, 0))

size_t length(const char *text);
bool equal(const char *a, const char *b);
/// Appends `text` to the text in `buffer` of `size` bytes, cut to what fits.
void append(char *buffer, size_t size, const char *text);
void append_number(char *buffer, size_t size, long number);
void print(int descriptor, const char *text);

#endif
