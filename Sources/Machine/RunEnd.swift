public import KVM

/// How the run of a machine ended.
public enum RunEnd: Hashable, Sendable {
  case poweredOff
  /// The guest asked for a reset; a Linux guest that panics does too.
  case reset
  /// Somebody outside asked for the end.
  case stopped
  /// A triple fault: the guest could not handle an exception.
  case crashed(CrashReport)
  /// The processor stopped for a reason that no guest of this machine should give.
  case unexpected(Stop)
  /// The hypervisor failed.
  case failed(KVMError)
}

/// The state of the processor that shut the machine down.
public struct CrashReport: Hashable, Sendable {
  public let processor: UInt32
  public let registers: Registers
  public let specialRegisters: SpecialRegisters
}
