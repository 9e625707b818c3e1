// The program that the talk "KVM without QEMU" shows piece by piece, with its slips: they get the
// kernel's errors. What it means is done beside them.
#include "guest.h"

int main(void) {
  int device = open("/dev/kvm", O_RDWR);
  CHECK(device >= 0);
  int machine = ioctl(device, KVM_CREATE_VM, 0);
  CHECK(machine >= 0);
  REFUSED(ioctl(machine, KVM_SET_TSS_ADDR, 0xffffffffffffd000), EINVAL);
  CHECK(ioctl(machine, KVM_SET_TSS_ADDR, 0xfffbd000) == 0);
  CHECK(ioctl(machine, KVM_CREATE_IRQCHIP, 0) == 0);

  size_t size = 10 << 20;
  uint8_t *memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  struct kvm_userspace_memory_region slot = {
      .guest_phys_addr = 0x100000, .memory_size = size, .userspace_addr = (uintptr_t)memory};
  // KVM_SET_MEMORY_REGION, which is not there any more.
  REFUSED(ioctl(machine, _IOW(KVMIO, 0x40, struct kvm_memory_region), &slot), ENOTTY);
  CHECK(ioctl(machine, KVM_SET_USER_MEMORY_REGION, &slot) == 0);

  int cpu = ioctl(machine, KVM_CREATE_VCPU, 0);
  CHECK(cpu >= 0);
  int run_size = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);
  CHECK(run_size >= 8192);
  struct kvm_run *run =
      mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, cpu, 0);
  CHECK(run != MAP_FAILED);
  struct kvm_sregs special;
  CHECK(ioctl(cpu, KVM_GET_SREGS, &special) == 0);
  special.cs.base = special.ds.base = special.ss.base = 0;
  special.cs.limit = special.ds.limit = special.ss.limit = 0xffffffff;
  special.cs.g = special.ds.g = special.ss.g = 1;
  special.cs.db = special.ss.db = 1;
  special.cr0 |= 1;
  CHECK(ioctl(cpu, KVM_SET_SREGS, &special) == 0);

  // out %al, $0x42; mov %eax, 0xd0000000; the slide's address lies outside its memory.
  static const uint8_t code[] = {0xb0, 'x', 0xe6, 0x42, 0xa3, 0, 0, 0, 0xd0, 0xf4};
  memcpy(memory + 0xf000, code, sizeof code);
  struct kvm_regs registers;
  CHECK(ioctl(cpu, KVM_GET_REGS, &registers) == 0);
  registers.rflags = 2;
  registers.rip = 0x0100f000;
  CHECK(ioctl(cpu, KVM_SET_REGS, &registers) == 0);
  CHECK(ioctl(cpu, KVM_RUN, 0) == 0);
  CHECK(run->exit_reason == KVM_EXIT_INTERNAL_ERROR);
  CHECK(run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION);

  registers.rip = 0x0010f000;
  CHECK(ioctl(cpu, KVM_SET_REGS, &registers) == 0);
  CHECK(ioctl(cpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_IO);
  CHECK(run->io.direction == KVM_EXIT_IO_OUT && run->io.port == 0x42);
  CHECK(((char *)run)[run->io.data_offset] == 'x');
  CHECK(ioctl(cpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_MMIO);
  CHECK(run->mmio.phys_addr == 0xd0000000 && run->mmio.is_write && run->mmio.len == 4);
  CHECK(run->mmio.data[0] == 'x');
  return 0;
}
