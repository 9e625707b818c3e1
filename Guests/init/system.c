#include "system.h"

// The stack pointer is the only argument that the kernel gives; keep it aligned for calls.
__asm__(".globl _start\n"
        "_start: xor %ebp, %ebp\n"
        "and $-16, %rsp\n"
        "call start\n"
        "hlt\n");

// The compiler may turn any loop into calls of these two.
void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  void *result = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  return result;
}

void *memset(void *to, int byte, size_t count) {
  void *result = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
  return result;
}

size_t length(const char *text) {
  size_t count = 0;
  while (text[count]) count++;
  return count;
}

bool equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

void append(char *buffer, size_t size, const char *text) {
  size_t at = length(buffer);
  while (*text && at + 1 < size) buffer[at++] = *text++;
  buffer[at] = 0;
}

void append_number(char *buffer, size_t size, long number) {
  char digits[24];
  char *first = digits + sizeof digits - 1;
  *first = 0;
  do *--first = (char)('0' + number % 10);
  while (number /= 10);
  append(buffer, size, first);
}

void print(int descriptor, const char *text) { CALL(write, descriptor, text, length(text)); }
