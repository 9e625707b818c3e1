internal import CLinux
import GuestMemory
import Host
public import KVM
import KVMABI

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
    try file.call(.KVM_SET_TSS_ADDR, Self.taskStateAddress)
    var identityMap = Self.identityMapAddress
    try file.call(
      .KVM_SET_IDENTITY_MAP_ADDR, with: &identityMap)
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
      .KVM_SET_USER_MEMORY_REGION, with: &slot)
  }

  public func makeInterruptController() throws(KVMError) {
    try file.call(.KVM_CREATE_IRQCHIP)
  }

  public func makeTimer() throws(KVMError) {
    var configuration = kvm_pit_config()
    try file.call(.KVM_CREATE_PIT2, with: &configuration)
  }

  public func makeCPU(id: UInt32) throws(KVMError) -> KernelCPU {
    let cpu = try file.file(from: .KVM_CREATE_VCPU, UInt(id))
    return try KernelCPU(file: cpu, machine: self)
  }

  public func setInterrupt(_ line: UInt32, active: Bool) {
    var level = kvm_irq_level()
    level.irq = line
    level.level = active ? 1 : 0
    _ = try? file.call(.KVM_IRQ_LINE, with: &level)
  }

  @discardableResult
  public func signal(_ message: MessageInterrupt) -> Bool {
    var request = kvm_msi()
    request.address_lo = UInt32(truncatingIfNeeded: message.address)
    request.address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
    request.data = message.data
    let result = try? file.call(.KVM_SIGNAL_MSI, with: &request)
    return (result ?? 0) > 0
  }
}
