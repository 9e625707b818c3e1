internal import CLinux
import GuestMemory
import Host
public import KVM
import KVMABI
import Synchronization

/// A virtual machine of the host's kernel.
public final class KernelMachine: VirtualMachine {
  let file: KVMFile
  let sharedSize: Int
  /// The kernel maps it; it must outlive the machine.
  private let memory: GuestMemory?
  let shared = Mutex(Shared())

  /// What the machine has to remember of what the kernel was told.
  struct Shared {
    /// The first processor's pages, for the ring of coalesced writes, which they all show.
    var page: RunPage?
    /// Bytes of each processor's ring of dirty pages; 0 when there is none.
    var dirtySize = 0
    /// The sizes of the memory slots.
    var slotPages: [UInt32: Int] = [:]
  }

  /// Where the kernel may put pages of its own, out of the way of RAM and firmware.
  private static let taskStateAddress: UInt64 = 0xfffb_d000
  private static let identityMapAddress: UInt64 = 0xfffb_c000

  /// A machine with nothing.
  init(file: KVMFile, sharedSize: Int) {
    self.file = file
    self.sharedSize = sharedSize
    memory = nil
  }

  /// A machine that is ready for processors.
  init(file: KVMFile, memory: GuestMemory, sharedSize: Int) throws(KVMError) {
    self.file = file
    self.memory = memory
    self.sharedSize = sharedSize
    // Processors without real mode in hardware need these; the others ignore them.
    try setTaskStateAddress(Self.taskStateAddress)
    try setIdentityMapAddress(Self.identityMapAddress)
    for (number, region) in memory.regions.enumerated() {
      try setMemory(
        MemorySlot(
          UInt32(number), guestAddress: region.range.lowerBound,
          size: region.range.upperBound - region.range.lowerBound,
          hostAddress: unsafe UInt64(UInt(bitPattern: region.host)),
          flags: region.isReadOnly ? .readOnly : []))
    }
  }

  public func makeInterruptController() throws(KVMError) { try file.call(.KVM_CREATE_IRQCHIP) }

  public func makeTimer() throws(KVMError) { try makeTimer(hasSpeaker: true) }

  public func makeCPU(id: UInt32) throws(KVMError) -> KernelCPU {
    let cpu = try file.file(from: .KVM_CREATE_VCPU, UInt(id))
    return try KernelCPU(file: cpu, machine: self)
  }

  public func setInterrupt(_ line: UInt32, active: Bool) {
    var level = kvm_irq_level()
    level.irq = line
    level.level = active ? 1 : 0
    _ = try? file.set(.KVM_IRQ_LINE, level)
  }

  @discardableResult
  public func signal(_ message: MessageInterrupt) -> Bool {
    ((try? deliver(message)) ?? 0) > 0
  }
}

extension KernelMachine: CompleteMachine {}
