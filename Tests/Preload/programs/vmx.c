// Insists on VMX or SVM, as some programs do before they try KVM.
#include "guest.h"

#include <cpuid.h>

int main(void) {
  unsigned int a, b, c, d, vendor, extended;
  // Bytes that only look like the instruction stay what they are.
  volatile unsigned int number = 0xa20f;
  __cpuid(0, a, vendor, c, d);
  __cpuid_count(1, 0, a, b, c, d);
  CHECK(vendor != 0 && a != 0 && d & 1);
  __cpuid(0x80000001, a, b, extended, d);
  CHECK(number == 0xa20f);
  CHECK(c & 1 << 5 && extended & 1 << 2);
  struct guest guest = GUEST(counting);
  expect(&guest, KVM_EXIT_IO);
  return 0;
}
