/// One virtual processor.
///
/// Made on the thread that runs it, which it never leaves; it is not `Sendable`, and the compiler
/// keeps the rule. Other threads hold its ``doorbell``.
public protocol VirtualCPU: AnyObject {
  /// What other threads use to get its attention.
  var doorbell: any Doorbell { get }

  /// Runs guest code until something but a device access ends it. Accesses go to `handler`, on
  /// this thread.
  func run(handler: some ExitHandler) throws(KVMError) -> Stop

  func registers() throws(KVMError) -> Registers
  func setRegisters(_ registers: Registers) throws(KVMError)

  func specialRegisters() throws(KVMError) -> SpecialRegisters
  func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError)

  /// Reads model-specific registers, in the order given.
  func modelSpecificRegisters(_ numbers: [UInt32]) throws(KVMError) -> [ModelSpecificRegister]
  func setModelSpecificRegisters(_ registers: [ModelSpecificRegister]) throws(KVMError)

  /// Decides what the guest's CPUID instruction answers; before the first run.
  func setCPUID(_ entries: [CPUIDEntry]) throws(KVMError)

  /// Queues an external interrupt, to be taken at the next entry. Only for machines without an
  /// interrupt controller, and only while the guest can take one.
  func inject(interrupt vector: UInt8) throws(KVMError)
}

/// A processor that hands out each device access as a value and is told the answer afterwards.
public protocol ExitingCPU: VirtualCPU {
  /// Runs guest code until anything ends it.
  func run() throws(KVMError) -> Exit

  /// Gives the value for the read that ended the last run, which the next run completes.
  func answer(_ value: UInt64)

  /// Whether a run is to end with ``Stop/interruptWindow`` once the guest can take an interrupt.
  func requestInterruptWindow(_ wanted: Bool)
}

/// Gets a processor's attention from any thread.
public protocol Doorbell: AnyObject, Sendable {
  /// Makes the run in progress, or else the next one, end with ``Stop/interrupted``.
  func ring()
}
