// Runs snippets of machine code on the host's processor, in a child process, and reports what they
// did: the reference that the engine is compared with. Used by tests only.
#ifndef CNATIVE_H
#define CNATIVE_H

#include <stdint.h>

enum {
  NATIVE_CODE = 0x10000000,      // where snippets lie: NATIVE_CODE_SIZE bytes, readable too
  NATIVE_CODE_SIZE = 0x400000,
  NATIVE_DATA = 0x20000000,      // two writable pages and a read-only one; none around them
  NATIVE_DATA_SIZE = 0x3000,
  NATIVE_FS_BASE = NATIVE_DATA + 0x800,
  NATIVE_GS_BASE = NATIVE_DATA + 0x1400,
  NATIVE_SNIPPET = 512,          // bytes of code at most
  NATIVE_BATCH = 64,
  NATIVE_LOST = 255,             // the trap of a case that does not end
  NATIVE_POOL_SIZE = 0x10000,    // bytes that initial memory is taken from
  NATIVE_DESCRIPTORS = 24,       // entries of the child's local descriptor table
};

// What a snippet starts with, and ends with.
struct native_state {
  uint64_t registers[16];        // in encoding order
  uint64_t rip;
  uint64_t rflags;
  uint64_t trap;                 // vector of the exception that ended it
  uint64_t error;
  uint64_t address;              // CR2
  uint64_t reserved[3];
  uint8_t extended[832];         // x87, SSE and AVX, standard XSAVE format
};

struct native_case {
  struct native_state before;
  struct native_state after;
  uint32_t code_length;
  uint32_t is_compatibility;     // run as 32-bit code
  uint32_t memory_offset;        // where in the pool the initial memory starts
  uint32_t is_segmented;         // run with the selectors below, RIP being an offset
  uint64_t code_address;         // linear; RIP but for segmented cases
  uint16_t selectors[8];         // ES, CS, SS, DS, FS, GS; afterwards, what they are then
  uint8_t code[NATIVE_SNIPPET];
  uint8_t memory[NATIVE_DATA_SIZE];  // afterwards
};

// What the parent and the child share.
struct native_area {
  uint32_t count;
  volatile uint32_t current;
  uint8_t pool[NATIVE_POOL_SIZE + NATIVE_DATA_SIZE];
  struct native_case cases[NATIVE_BATCH];
};

#pragma clang assume_nonnull begin

// A new area, or NULL.
struct native_area *_Nullable native_area_make(void);
void native_area_free(struct native_area *area);

// Arrays that Swift does not see: NATIVE_POOL_SIZE + NATIVE_DATA_SIZE bytes, and NATIVE_DATA_SIZE.
uint8_t *native_pool(struct native_area *area);
uint8_t *native_memory(struct native_case *of);
struct native_case *native_case_at(struct native_area *area, int index);

// The child's local descriptor table: data around NATIVE_DATA, code in NATIVE_CODE.
uint64_t native_descriptor(int index);

// Runs the area's cases in a child process, which is started when there is none.
// Returns 0 when all ran; else the child died or hung in case `current`, and is gone.
int native_run(struct native_area *area);
// Ends the child.
void native_stop(struct native_area *area);

#pragma clang assume_nonnull end

#endif
