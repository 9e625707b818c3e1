/* What a thin machine tells its guest: docs/start-info.md. */
#pragma once
#include <stdint.h>

#define START_INFO_MAGIC 0x53555041u /* in EAX at the start, and in the structure */

struct memory_map_entry {
  uint32_t base;
  uint32_t size;
  uint32_t flags; /* MEMORY_FLAG_READ_ONLY */
  uint32_t use;   /* MEMORY_USE_... */
};

#define MEMORY_FLAG_READ_ONLY 1
#define MEMORY_USE_FREE 0
#define MEMORY_USE_KERNEL 1
#define MEMORY_USE_INIT 2

struct device_map_entry {
  uint32_t base_addr;
  uint32_t interrupt_num;
};

struct start_info { /* its address is in EBX at the start */
  uint32_t ioapic_base;
  uint32_t mem_size; /* how many entries */
  const struct memory_map_entry *mem_entries;
  uint32_t dev_size; /* how many entries */
  const struct device_map_entry *dev_entries;
  uint32_t magic;
  uint32_t version;
};
