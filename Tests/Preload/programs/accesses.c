// What a program is told of the guest's accesses, and what the guest gets of its answers.
#include "guest.h"

static struct kvm_regs registers_of(struct guest *guest) {
  struct kvm_regs registers;
  CHECK(ioctl(guest->cpu, KVM_GET_REGS, &registers) == 0);
  return registers;
}

static void test_ports(void) {
  // in $0x20, %al; in %dx, %ax; hlt
  static const uint8_t code[] = {0xe4, 0x20, 0x89, 0xc3, 0xba, 0x34, 0x12, 0xed, 0xf4};
  struct guest guest = GUEST(code);
  expect(&guest, KVM_EXIT_IO);
  CHECK(guest.run->io.direction == KVM_EXIT_IO_IN && guest.run->io.port == 0x20);
  uint8_t *data = (uint8_t *)guest.run + guest.run->io.data_offset;
  CHECK(guest.run->io.size == 1 && guest.run->io.data_offset == 4096);
  data[0] = 0x5a;
  expect(&guest, KVM_EXIT_IO);
  CHECK(guest.run->io.port == 0x1234 && guest.run->io.size == 2);
  memcpy(data, "\x78\x56", 2);
  expect(&guest, KVM_EXIT_HLT);
  struct kvm_regs registers = registers_of(&guest);
  CHECK((registers.rbx & 0xff) == 0x5a && (registers.rax & 0xffff) == 0x5678);
}

static void test_strings(void) {
  // mov $6, %cx; mov $0x100, %si; mov $0x10, %dx; rep outsb; then rep insw of 2; hlt
  static const uint8_t code[] = {0xfc, 0xb9, 6,    0,    0xbe, 0,    1, 0xba, 0x10, 0,   0xf3, 0x6e,
                                 0xb9, 2,    0,    0xbf, 0,    2,    0xf3, 0x6d, 0xf4};
  struct guest guest = GUEST(code);
  memcpy(guest.memory + 0x100, "string", 6);
  char text[8] = {0};
  size_t length = 0;
  while (length < 6) {
    expect(&guest, KVM_EXIT_IO);
    CHECK(guest.run->io.direction == KVM_EXIT_IO_OUT && guest.run->io.size == 1);
    CHECK(guest.run->io.count <= 6 - length);
    memcpy(text + length, (char *)guest.run + guest.run->io.data_offset, guest.run->io.count);
    length += guest.run->io.count;
  }
  CHECK(strcmp(text, "string") == 0);
  for (uint16_t next = 0x1111; next <= 0x2222;) {
    expect(&guest, KVM_EXIT_IO);
    CHECK(guest.run->io.direction == KVM_EXIT_IO_IN && guest.run->io.size == 2);
    uint16_t *data = (uint16_t *)((char *)guest.run + guest.run->io.data_offset);
    for (uint32_t i = 0; i < guest.run->io.count; i++, next += 0x1111) data[i] = next;
  }
  expect(&guest, KVM_EXIT_HLT);
  CHECK(memcmp(guest.memory + 0x200, "\x11\x11\x22\x22", 4) == 0);
}

static void test_memory(void) {
  // mov $0x2000, %ax; mov %ax, %ds; mov 4, %bx; mov %bx, 8; hlt
  static const uint8_t code[] = {0xb8, 0, 0x20, 0x8e, 0xd8, 0x8b, 0x1e, 4,
                                 0,    0x89, 0x1e, 8,    0,    0xf4};
  struct guest guest = GUEST(code);
  expect(&guest, KVM_EXIT_MMIO);
  CHECK(!guest.run->mmio.is_write && guest.run->mmio.phys_addr == 0x20004);
  CHECK(guest.run->mmio.len == 2);
  memcpy(guest.run->mmio.data, "\xcd\xab", 2);
  expect(&guest, KVM_EXIT_MMIO);
  CHECK(guest.run->mmio.is_write && guest.run->mmio.phys_addr == 0x20008);
  CHECK(memcmp(guest.run->mmio.data, "\xcd\xab", 2) == 0);
  expect(&guest, KVM_EXIT_HLT);
}

static void test_shared_registers(void) {
  int valid = ioctl(open_device(), KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
  if (valid == 0) return;
  CHECK(valid == (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS));
  struct guest guest = GUEST(counting);
  guest.run->kvm_valid_regs = KVM_SYNC_X86_REGS;
  expect(&guest, KVM_EXIT_IO);
  CHECK((guest.run->s.regs.regs.rax & 0xff) == 1);
  guest.run->s.regs.regs.rax = 41;
  guest.run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
  expect(&guest, KVM_EXIT_IO);
  CHECK(written(&guest) == 42 && guest.run->kvm_dirty_regs == 0);
  guest.run->kvm_valid_regs = 1 << 20;
  REFUSED(ioctl(guest.cpu, KVM_RUN, 0), EINVAL);
}

int main(void) {
  test_ports();
  test_strings();
  test_memory();
  test_shared_registers();
  return 0;
}
