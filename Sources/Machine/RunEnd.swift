import DeviceModel
public import KVM

/// How the run of a machine ended.
public enum RunEnd: Hashable, Sendable {
  case poweredOff
  /// The guest asked for a reset; a Linux guest that panics may too.
  case reset
  /// The guest wrote this status to the exit port.
  case exited(UInt8)
  /// HLT on a machine without an interrupt controller: a bare guest is done.
  case halted(ProcessorReport)
  /// Somebody outside asked for the end.
  case stopped
  /// A triple fault: the guest could not handle an exception.
  case crashed(ProcessorReport)
  /// A processor stopped for a reason that no guest of this machine should give.
  case unexpected(Stop, ProcessorReport)
  /// The hypervisor failed.
  case failed(KVMError)
}

/// The state of the processor that ended a run.
public struct ProcessorReport: Hashable, Sendable {
  public let processor: UInt32
  public let registers: Registers
  public let specialRegisters: SpecialRegisters

  init(_ cpu: some VirtualCPU, id: UInt32) throws(KVMError) {
    processor = id
    registers = try cpu.registers()
    specialRegisters = try cpu.specialRegisters()
  }
}

extension RunEnd {
  /// What a request of the guest's means for the run.
  init(_ request: PowerRequest) {
    switch request {
    case .reset: self = .reset
    case .powerOff: self = .poweredOff
    case .exit(let status): self = .exited(status)
    }
  }

  /// What a processor's stop means for the run; `nil` when the processor is to go on.
  init?(_ stop: Stop, of cpu: some VirtualCPU, id: UInt32) throws(KVMError) {
    switch stop {
    case .interrupted, .interruptWindow: return nil
    case .shutdown: self = .crashed(try ProcessorReport(cpu, id: id))
    case .halted: self = .halted(try ProcessorReport(cpu, id: id))
    case .systemEvent(.powerOff): self = .poweredOff
    case .systemEvent(.reset): self = .reset
    default: self = .unexpected(stop, try ProcessorReport(cpu, id: id))
    }
  }
}
