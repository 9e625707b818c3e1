/// One virtual processor.
///
/// Made on the thread that runs it, which it never leaves; it is not `Sendable`, and the compiler
/// keeps the rule. Other threads hold its ``doorbell``.
public protocol VirtualCPU: AnyObject {
  /// What other threads use to get its attention.
  var doorbell: any Doorbell { get }

  /// Runs guest code until something but a device access ends it. Accesses go to `handler`, on
  /// this thread (KVM_RUN).
  func run(handler: some ExitHandler) throws(KVMError) -> Stop

  /// KVM_GET_REGS
  func registers() throws(KVMError) -> Registers
  /// KVM_SET_REGS; an exception that waits to be delivered is forgotten.
  func setRegisters(_ registers: Registers) throws(KVMError)

  /// KVM_GET_SREGS
  func specialRegisters() throws(KVMError) -> SpecialRegisters
  /// KVM_SET_SREGS; EINVAL for a state that no processor can be in.
  func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError)

  /// Reads model-specific registers, in the order given (KVM_GET_MSRS).
  func modelSpecificRegisters(_ numbers: [UInt32]) throws(KVMError) -> [ModelSpecificRegister]
  /// KVM_SET_MSRS
  func setModelSpecificRegisters(_ registers: [ModelSpecificRegister]) throws(KVMError)

  /// Decides what the guest's CPUID instruction answers; before the first run (KVM_SET_CPUID2;
  /// KVM_SET_CPUID is its older form).
  func setCPUID(_ entries: [CPUIDEntry]) throws(KVMError)

  /// Queues an external interrupt, to be taken at the next entry (KVM_INTERRUPT). Only for
  /// machines without an interrupt controller (else ENXIO); with a split one, one at a time (else
  /// EEXIST).
  func inject(interrupt vector: UInt8) throws(KVMError)
}

/// Gets a processor's attention from any thread.
public protocol Doorbell: AnyObject, Sendable {
  /// Makes the run in progress, or else the next one, end with ``Stop/interrupted``. A run that is
  /// to end at once still completes the access that ended the last one: KVM's immediate_exit.
  func ring()
}
