// Memory slots: read-only ones, and changes while a processor is in the middle of an exit.
#include "guest.h"

static uint8_t *extra;

static void set_slot(struct guest *guest, uint32_t number, uint64_t address, void *memory,
                     uint64_t size, uint32_t flags) {
  struct kvm_userspace_memory_region slot = {.slot = number, .flags = flags,
                                             .guest_phys_addr = address, .memory_size = size,
                                             .userspace_addr = (uintptr_t)memory};
  CHECK(ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
}

static void fill(uint8_t *memory, uint8_t value) { memset(memory, value, 0x1000); }

static void test_read_only(void) {
  // mov $0x2000, %ax; mov %ax, %ds; xor %si, %si; mov $0x1000, %di; mov $16, %cx; cld;
  // rep movsl; mov 0x20, %al; mov %al, %es:0x1fff; mov %al, 0x30; hlt
  static const uint8_t code[] = {0xb8, 0,    0x20, 0x8e, 0xd8, 0x31, 0xf6, 0xbf, 0,    0x10,
                                 0xb9, 16,   0,    0xfc, 0xf3, 0x66, 0xa5, 0xa0, 0x20, 0,
                                 0x26, 0xa2, 0xff, 0x1f, 0xa2, 0x30, 0,    0xf4};
  struct guest guest = GUEST(code);
  set_slot(&guest, 1, 0x20000, extra, 0x1000, KVM_MEM_READONLY);
  fill(extra, 0x77);
  expect(&guest, KVM_EXIT_MMIO);
  CHECK(guest.run->mmio.is_write && guest.run->mmio.phys_addr == 0x20030);
  CHECK(guest.run->mmio.data[0] == 0x77 && guest.memory[0x1fff] == 0x77);
  for (int i = 0; i < 64; i++) CHECK(guest.memory[0x1000 + i] == 0x77);
  CHECK(guest.memory[0x1040] == 0 && extra[0x30] == 0x77);
  expect(&guest, KVM_EXIT_HLT);
}

/// A guest that writes its counter to 0x20000 and to a port, forever.
static void test_changes(void) {
  // mov $0x2000, %ax; mov %ax, %ds; 1: inc %bl; mov %bl, 0; mov 1, %al; out %al, $0x10; jmp 1b
  static const uint8_t code[] = {0xb8, 0,    0x20, 0x8e, 0xd8, 0xfe, 0xc3, 0x88, 0x1e, 0,
                                 0,    0xa0, 1,    0,    0xe6, 0x10, 0xeb, 0xf3};
  struct guest guest = GUEST(code);
  fill(extra, 0x11);
  fill(extra + 0x1000, 0x22);
  set_slot(&guest, 1, 0x20000, extra, 0x1000, 0);
  expect(&guest, KVM_EXIT_IO);
  CHECK(written(&guest) == 0x11 && extra[0] == 1);
  // Other memory at the same address.
  set_slot(&guest, 1, 0, NULL, 0, 0);
  set_slot(&guest, 1, 0x20000, extra + 0x1000, 0x1000, 0);
  expect(&guest, KVM_EXIT_IO);
  CHECK(written(&guest) == 0x22 && extra[0] == 1 && extra[0x1000] == 2);
  // Moved away: nothing is there.
  set_slot(&guest, 1, 0x30000, extra + 0x1000, 0x1000, 0);
  expect(&guest, KVM_EXIT_MMIO);
  CHECK(guest.run->mmio.is_write && guest.run->mmio.phys_addr == 0x20000);
  CHECK(guest.run->mmio.data[0] == 3);
  expect(&guest, KVM_EXIT_MMIO);
  CHECK(!guest.run->mmio.is_write && guest.run->mmio.phys_addr == 0x20001);
  // It comes while the read waits, which is the device's.
  set_slot(&guest, 2, 0x20000, extra, 0x1000, 0);
  guest.run->mmio.data[0] = 0x33;
  expect(&guest, KVM_EXIT_IO);
  CHECK(written(&guest) == 0x33);
  expect(&guest, KVM_EXIT_IO);
  CHECK(written(&guest) == 0x11 && extra[0] == 4);
}

static void test_rules(void) {
  struct guest guest = GUEST(halting);
  struct kvm_userspace_memory_region slot = {
      .slot = 1, .guest_phys_addr = 0x8000, .memory_size = 0x1000,
      .userspace_addr = (uintptr_t)extra};
  REFUSED(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot), EEXIST);
  slot.guest_phys_addr = 0x20800;
  REFUSED(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot), EINVAL);
  slot.guest_phys_addr = 0x20000;
  slot.flags = 1 << 5;
  REFUSED(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot), EINVAL);
  slot.flags = 0;
  slot.slot = 0xffff;
  REFUSED(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot), EINVAL);
  slot.slot = 1;
  CHECK(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
  slot.flags = KVM_MEM_READONLY;
  REFUSED(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot), EINVAL);
  slot.memory_size = 0;
  CHECK(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
  REFUSED(ioctl(guest.machine, KVM_SET_USER_MEMORY_REGION, &slot), EINVAL);
}

int main(void) {
  extra = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(extra != MAP_FAILED);
  test_rules();
  test_changes();
  if (ioctl(open_device(), KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM)) test_read_only();
  return 0;
}
