// First touches of fresh pages.
#include "bench.h"

#include <sys/mman.h>

#define PAGES 1024

static uint64_t run(void) {
  size_t size = PAGES * 4096UL;
  unsigned char *memory =
      mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, size, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
  munmap(memory, size);
  return 0;
}

BENCH("page-fault", PAGES, run)
