import DeviceModel
import GuestMemory
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
  /// The bytes at the instruction pointer, 15 at most; none where they cannot be found.
  public let code: [UInt8]

  init(_ cpu: some VirtualCPU, id: UInt32, memory: GuestMemory) throws(KVMError) {
    processor = id
    registers = try cpu.registers()
    specialRegisters = try cpu.specialRegisters()
    code = Self.code(cpu, registers.rip, specialRegisters, memory)
  }

  private static func code(
    _ cpu: some VirtualCPU, _ pointer: UInt64, _ special: SpecialRegisters, _ memory: GuestMemory
  ) -> [UInt8] {
    let isLong = special.efer.contains(.longModeActive) && special.cs.attributes[.long]
    let linear = isLong ? pointer : (special.cs.base &+ pointer) & 0xffff_ffff
    let physical =
      special.cr0.contains(.paging)
      ? (try? (cpu as? any DebuggedCPU)?.translate(linear))?.physicalAddress : linear
    guard let physical else { return [] }
    // The next page may be anywhere.
    let count = min(15, 4096 - Int(physical & 4095))
    return (try? memory.bytes(at: physical, count: count)) ?? []
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
  init?(
    _ stop: Stop, of cpu: some VirtualCPU, id: UInt32, memory: GuestMemory
  ) throws(KVMError) {
    switch stop {
    case .interrupted, .interruptWindow: return nil
    case .shutdown: self = .crashed(try ProcessorReport(cpu, id: id, memory: memory))
    case .halted: self = .halted(try ProcessorReport(cpu, id: id, memory: memory))
    case .systemEvent(.powerOff): self = .poweredOff
    case .systemEvent(.reset): self = .reset
    default: self = .unexpected(stop, try ProcessorReport(cpu, id: id, memory: memory))
    }
  }
}
