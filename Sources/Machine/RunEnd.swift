import DeviceModel
public import KVM

/// How the run of a machine ended.
public enum RunEnd: Hashable, Sendable {
  case poweredOff
  /// The guest asked for a reset; a Linux guest that panics may too.
  case reset
  /// Somebody outside asked for the end.
  case stopped
  /// A triple fault: the guest could not handle an exception.
  case crashed(CrashReport)
  /// A processor stopped for a reason that no guest of this machine should give.
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

extension RunEnd {
  /// What a request of the guest's means for the run.
  init(_ request: PowerRequest) {
    switch request {
    case .reset: self = .reset
    case .powerOff: self = .poweredOff
    }
  }

  /// What a processor's stop means for the run; `nil` when the processor is to go on.
  init?(_ stop: Stop, of cpu: some VirtualCPU, id: UInt32) throws(KVMError) {
    switch stop {
    case .interrupted, .interruptWindow: return nil
    case .shutdown:
      self = .crashed(
        CrashReport(
          processor: id, registers: try cpu.registers(),
          specialRegisters: try cpu.specialRegisters()))
    case .systemEvent(.powerOff): self = .poweredOff
    case .systemEvent(.reset): self = .reset
    case .systemEvent(.crash), .systemEvent(.other), .halted, .failedEntry, .internalError,
      .unknown:
      self = .unexpected(stop)
    }
  }
}
