// Instructions of the host's processor that Swift cannot say.
#ifndef APUS_HOST_PROCESSOR_H
#define APUS_HOST_PROCESSOR_H

#include <cpuid.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <x86intrin.h>

struct apus_cpuid_registers {
  uint32_t eax, ebx, ecx, edx;
};

static inline struct apus_cpuid_registers apus_cpuid(uint32_t leaf, uint32_t subleaf) {
  struct apus_cpuid_registers result;
  __cpuid_count(leaf, subleaf, result.eax, result.ebx, result.ecx, result.edx);
  return result;
}

static inline uint64_t apus_read_time_stamp(void) { return __rdtsc(); }

/// XCR0; only where CPUID says that the system enabled XSAVE.
static inline uint64_t apus_read_xcr0(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/// Whether programs may use WRGSBASE and its kind: the kernel says so in the auxiliary vector.
static inline int apus_may_write_segment_bases(void) { return getauxval(AT_HWCAP2) >> 1 & 1; }

#endif
