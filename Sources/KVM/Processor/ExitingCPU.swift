/// A processor that hands out each device access as a value and is told the answer afterwards.
///
/// ```swift
/// while true {
///   switch try cpu.run() {
///   case .portWrite(0x3f8, let value, _, _): print(value)
///   case .portRead: cpu.answer(0xff)
///   case .stopped(.halted): return
///   default: break
///   }
/// }
/// ```
public protocol ExitingCPU: VirtualCPU {
  /// Completes the access that ended the last run, then runs guest code until anything ends it
  /// (KVM_RUN).
  func run() throws(KVMError) -> Exit

  /// Gives the value for the read or the call that ended the last run, which the next run
  /// completes; for a string instruction the first element. Nothing waits: no effect.
  func answer(_ value: UInt64)

  /// Lets the model-specific access that ended the last run raise #GP in the guest.
  func refuse()

  /// The elements of the port access that ended the last run, size times count bytes: what the
  /// guest wrote, or where the answers go. Empty after any other exit.
  func withPortData<Result>(_ body: (inout MutableRawSpan) -> Result) -> Result

  /// The numbers that came with the last exit, when it was an internal error or a system event.
  var exitDetails: [UInt64] { get }

  /// What the processor shows after a run.
  var status: RunStatus { get }

  /// Sets CR8 for the next run; on machines without an interrupt controller, and from 0 to 15.
  func setTaskPriority(_ priority: UInt64)

  /// Whether a run is to end with ``Stop/interruptWindow`` once the guest can take an interrupt.
  func requestInterruptWindow(_ wanted: Bool)
}

/// What `kvm_run` shows of a processor after each run.
public struct RunStatus: Hashable, Sendable, BitwiseCopyable {
  /// Whether ``VirtualCPU/inject(interrupt:)`` can be taken now.
  public var isReadyForInterrupt = false
  /// RFLAGS.IF.
  public var interruptFlag = false
  /// In system-management mode (KVM_RUN_X86_SMM).
  public var isInSystemManagement = false
  /// The run ended because the guest locked the bus (KVM_RUN_X86_BUS_LOCK).
  public var lockedBus = false
  /// CR8.
  public var taskPriority: UInt64 = 0
  /// IA32_APIC_BASE.
  public var apicBase: UInt64 = 0

  public init() {}
}
