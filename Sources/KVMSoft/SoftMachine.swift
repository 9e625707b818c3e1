import Chipset
import DeviceModel
import Engine
import GuestMemory
import Host
public import KVM
import Synchronization

/// A virtual machine of the software engine.
public final class SoftMachine: VirtualMachine {
  let memory: GuestMemory
  /// What each processor is told by others, by its number.
  let mailboxes: [ProcessorMailbox]
  let settings = MachineSettings()
  /// Memory that was added since the machine was made.
  let slots = Mutex(MemorySlots())
  /// Where the machine's clocks stood when it was made.
  let epoch = MachineEpoch()
  /// The interrupt hardware, once there is any.
  let chips = Mutex<InterruptChips?>(nil)

  init(memory: GuestMemory, processors: Int) {
    self.memory = memory
    mailboxes = (0..<max(processors, 1)).map { _ in ProcessorMailbox() }
  }

  deinit { chips.withLock { $0?.stop() } }

  public func makeInterruptController() throws(KVMError) {
    guard chips.withLock({ $0 == nil }) else {
      throw .refused(call: "makeInterruptController", errno: SystemNumber.exists)
    }
    let made = try InterruptChips(mailboxes: mailboxes)
    chips.withLock { $0 = made }
  }

  /// The timer is part of ``InterruptChips``; it keeps still until the guest programs it.
  public func makeTimer() throws(KVMError) {
    guard chips.withLock({ $0 != nil }) else {
      throw .refused(call: "makeTimer", errno: SystemNumber.noDevice)
    }
  }

  /// Has the machine's processors know of an enabled capability.
  package func enable(_ capability: Capability, argument: UInt64) {
    settings.enable(capability, argument)
  }

  public func makeCPU(id: UInt32) throws(KVMError) -> SoftCPU {
    guard mailboxes.indices.contains(Int(id)) else {
      throw .unsupported(
        "The machine was made for \(mailboxes.count) processors, numbered from 0.")
    }
    return try SoftCPU(id: id, machine: self)
  }

  public func setInterrupt(_ line: UInt32, active: Bool) {
    // Lines beyond the I/O APIC's lead nowhere.
    guard line < 24 else { return }
    chips.withLock { $0 }?.controller.setLine(Int(line), to: active)
  }

  @discardableResult
  public func signal(_ message: MessageInterrupt) -> Bool {
    let chips = chips.withLock { $0 }
    return chips?.controller.signal(address: message.address, data: message.data) ?? false
  }
}

/// Error numbers of Linux that refusals name.
enum SystemNumber {
  static let noDevice: Int32 = 6
  static let busy: Int32 = 16
  static let exists: Int32 = 17
  static let invalid: Int32 = 22
}

/// A moment at which several clocks were read: time zero of a machine.
struct MachineEpoch: Sendable {
  let timeStamp = HostProcessor.timeStamp
  let nanoseconds = HostClock.nanoseconds
  let wallNanoseconds = HostClock.wallNanoseconds
}
