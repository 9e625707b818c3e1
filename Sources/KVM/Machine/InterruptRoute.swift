/// Where a global interrupt number leads (`struct kvm_irq_routing_entry`). A number may lead to
/// several controllers' inputs, or be one message.
public struct InterruptRoute: Hashable, Sendable, BitwiseCopyable {
  /// The number: GSI.
  public var line: UInt32
  public var destination: Destination

  public init(_ line: UInt32, _ destination: Destination) {
    self.line = line
    self.destination = destination
  }

  public enum Destination: Hashable, Sendable, BitwiseCopyable {
    /// An input of a controller.
    case pin(InterruptChip, UInt32)
    case message(MessageInterrupt)
    /// A synthetic interrupt of Hyper-V's.
    case hyperV(processor: UInt32, source: UInt32)
  }
}

extension [InterruptRoute] {
  /// What KVM_CREATE_IRQCHIP sets up: each number is the I/O APIC's input, and below 16 a PIC's.
  public static var standard: Self {
    let pic = (0..<UInt32(16)).map { line in
      InterruptRoute(line, .pin(line < 8 ? .primaryPIC : .secondaryPIC, line % 8))
    }
    return pic + (0..<UInt32(24)).map { InterruptRoute($0, .pin(.ioAPIC, $0)) }
  }
}

/// Interrupt controllers and what leads to them. Any thread.
public protocol InterruptibleMachine: VirtualMachine {
  /// Local APICs of the hypervisor's, the rest outside; `lines` are reserved for their messages
  /// (KVM_CAP_SPLIT_IRQCHIP). Before the first processor.
  func makeSplitInterruptController(lines: Int) throws(KVMError)

  /// KVM_GET_IRQCHIP; ENXIO without the controllers.
  func state(of chip: InterruptChip) throws(KVMError) -> InterruptChipState
  /// KVM_SET_IRQCHIP
  func setState(_ state: InterruptChipState) throws(KVMError)

  /// Sets a line's level, and tells what came of it (KVM_IRQ_LINE_STATUS): 0 when the interrupt
  /// was lost in one that already waits, negative when it is masked, else how many took it.
  func setInterruptStatus(_ line: UInt32, active: Bool) throws(KVMError) -> Int

  /// Replaces all routes (KVM_SET_GSI_ROUTING).
  func setRoutes(_ routes: [InterruptRoute]) throws(KVMError)

  /// Delivers a message, and tells how many took it; 0 when the guest blocks it (KVM_SIGNAL_MSI).
  func deliver(_ message: MessageInterrupt) throws(KVMError) -> Int

  /// Which processor starts by itself; before the first one is made (KVM_SET_BOOT_CPU_ID).
  func setBootProcessor(_ id: UInt32) throws(KVMError)
}
