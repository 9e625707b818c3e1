public import GuestMemory

/// Something that runs guest code: the host's kernel, or the software engine.
///
/// The chain is a hypervisor, a machine, its processors:
/// ```swift
/// let machine = try hypervisor.makeMachine(memory: GuestMemory(size: 1 << 20))
/// let cpu = try machine.makeCPU(id: 0)     // on the thread that will run it
/// let stop = try cpu.run(handler: devices)
/// ```
public protocol Hypervisor: Sendable {
  associatedtype Machine: VirtualMachine

  /// The word by which people choose it, such as "kvm".
  static var name: String { get }

  /// The processor features that a guest can be given, for ``VirtualCPU/setCPUID(_:)``
  /// (KVM_GET_SUPPORTED_CPUID).
  func supportedCPUID() throws(KVMError) -> [CPUIDEntry]

  /// A machine whose RAM is `memory`, still without processors; they will be numbered from 0 to
  /// `processors`, excluded (KVM_CREATE_VM).
  func makeMachine(memory: GuestMemory, processors: Int) throws(KVMError) -> Machine
}

extension Hypervisor {
  /// A machine for one processor.
  public func makeMachine(memory: GuestMemory) throws(KVMError) -> Machine {
    try makeMachine(memory: memory, processors: 1)
  }
}

/// One virtual machine: RAM, interrupt controllers, processors. Any thread may call it.
public protocol VirtualMachine: AnyObject, Sendable {
  associatedtype CPU: VirtualCPU

  /// Gives the machine its PICs, I/O APIC and local APICs; before the first processor is made
  /// (KVM_CREATE_IRQCHIP).
  func makeInterruptController() throws(KVMError)

  /// Gives the machine its interval timer (8254), with the speaker port; after the interrupt
  /// controller (KVM_CREATE_PIT2).
  func makeTimer() throws(KVMError)

  /// Makes a processor, on the thread that will run it. `id` is also its local APIC's
  /// (KVM_CREATE_VCPU).
  func makeCPU(id: UInt32) throws(KVMError) -> CPU

  /// Sets the level of an interrupt line: a PIC input below 16 and an I/O APIC input below 24, as
  /// KVM's default routing has it. Has no effect without an interrupt controller (KVM_IRQ_LINE).
  func setInterrupt(_ line: UInt32, active: Bool)

  /// Delivers a message-signalled interrupt; returns whether a local APIC took it
  /// (KVM_SIGNAL_MSI).
  @discardableResult
  func signal(_ message: MessageInterrupt) -> Bool
}

/// What a device writes to raise an interrupt without a line.
///
/// Reference: SDM vol. 3A, section 11.11, "Message Signalled Interrupts".
public struct MessageInterrupt: Hashable, Sendable, BitwiseCopyable {
  public var address: UInt64
  public var data: UInt32

  public init(address: UInt64, data: UInt32) {
    self.address = address
    self.data = data
  }
}
