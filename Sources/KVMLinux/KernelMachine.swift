internal import CLinux
import GuestMemory
import Host
public import KVM

/// A virtual machine of the host's kernel.
public final class KernelMachine: VirtualMachine {
  let file: KVMFile
  let runPageSize: Int
  /// The kernel maps it; it must outlive the machine.
  private let memory: GuestMemory

  /// Where the kernel may put pages of its own, out of the way of RAM and firmware.
  private static let taskStateAddress: UInt = 0xfffb_d000
  private static let identityMapAddress: UInt64 = 0xfffb_c000

  init(file: KVMFile, memory: GuestMemory, runPageSize: Int) throws(KVMError) {
    self.file = file
    self.memory = memory
    self.runPageSize = runPageSize
    // Processors without real mode in hardware need these; the others ignore them.
    try file.call(apus_kvm_set_tss_addr, Self.taskStateAddress, named: "KVM_SET_TSS_ADDR")
    var identityMap = Self.identityMapAddress
    try file.call(
      apus_kvm_set_identity_map_addr, with: &identityMap, named: "KVM_SET_IDENTITY_MAP_ADDR")
    for (slot, region) in memory.regions.enumerated() {
      try add(region, slot: UInt32(slot))
    }
  }

  private func add(_ region: MemoryRegion, slot: UInt32) throws(KVMError) {
    var slot = kvm_userspace_memory_region(
      slot: slot, flags: region.isReadOnly ? UInt32(KVM_MEM_READONLY) : 0,
      guest_phys_addr: region.range.lowerBound,
      memory_size: region.range.upperBound - region.range.lowerBound,
      userspace_addr: unsafe UInt64(UInt(bitPattern: region.host)))
    try file.call(
      apus_kvm_set_user_memory_region, with: &slot, named: "KVM_SET_USER_MEMORY_REGION")
  }

  public func makeInterruptController() throws(KVMError) {
    try file.call(apus_kvm_create_irqchip, named: "KVM_CREATE_IRQCHIP")
  }

  public func makeTimer() throws(KVMError) {
    var configuration = kvm_pit_config()
    try file.call(apus_kvm_create_pit2, with: &configuration, named: "KVM_CREATE_PIT2")
  }

  public func makeCPU(id: UInt32) throws(KVMError) -> KernelCPU {
    let cpu = try file.file(from: apus_kvm_create_vcpu, UInt(id), named: "KVM_CREATE_VCPU")
    return try KernelCPU(file: cpu, machine: self)
  }

  public func setInterrupt(_ line: UInt32, active: Bool) {
    var level = kvm_irq_level()
    level.irq = line
    level.level = active ? 1 : 0
    _ = try? file.call(apus_kvm_irq_line, with: &level, named: "KVM_IRQ_LINE")
  }

  @discardableResult
  public func signal(_ message: MessageInterrupt) -> Bool {
    var request = kvm_msi()
    request.address_lo = UInt32(truncatingIfNeeded: message.address)
    request.address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
    request.data = message.data
    let result = try? file.call(apus_kvm_signal_msi, with: &request, named: "KVM_SIGNAL_MSI")
    return (result ?? 0) > 0
  }
}
