#include "channel.h"

enum { PORT_CONTROL = 0xa50, PORT_DATA = 0xa54, PORT_INPUT = 0xa58, PORT_COUNT = 12 };
#define MAGIC 0x53555041u

static uint32_t in(uint16_t port) {
  uint32_t value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port));
  return value;
}

static void out(uint16_t port, uint32_t value) {
  __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port));
}

bool channel_open(void) {
  if (CALL(ioperm, PORT_CONTROL, PORT_COUNT, 1) != 0) return false;
  if (in(PORT_CONTROL) == MAGIC) return true;
  channel_close();
  return false;
}

void channel_close(void) { CALL(ioperm, PORT_CONTROL, PORT_COUNT, 0); }

void channel_send(enum channel_command command, uint32_t number) {
  out(PORT_CONTROL, (uint32_t)command | number << 8);
}

void channel_write(enum channel_command stream, const char *bytes, size_t count) {
  size_t words = count / 4, rest = count % 4;
  channel_send(stream, (uint32_t)count);
  __asm__ volatile("rep outsl" : "+S"(bytes), "+c"(words) : "d"(PORT_DATA) : "memory");
  __asm__ volatile("rep outsb" : "+S"(bytes), "+c"(rest) : "d"(PORT_DATA) : "memory");
}

uint32_t channel_input(void) { return in(PORT_INPUT); }

void channel_read(char *bytes, size_t count) {
  size_t words = count / 4, rest = count % 4;
  __asm__ volatile("rep insl" : "+D"(bytes), "+c"(words) : "d"(PORT_DATA) : "memory");
  __asm__ volatile("rep insb" : "+D"(bytes), "+c"(rest) : "d"(PORT_DATA) : "memory");
}
