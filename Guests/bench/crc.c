// CRC-32 with a table: a chain of dependent loads.
#include "bench.h"

#define SIZE 65536

static uint32_t table[256];
static unsigned char data[SIZE];

__attribute__((constructor)) static void prepare(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
    table[i] = value;
  }
  for (uint32_t i = 0; i < SIZE; i++) data[i] = i * 7 + (i >> 8);
}

static uint64_t run(void) {
  uint32_t crc = ~0u;
  for (int round = 0; round < 8; round++)
    for (int i = 0; i < SIZE; i++) crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
  return crc;
}

BENCH("crc", 8.0 * SIZE, run)
