internal import X86

/// Something that goes through the interrupt table: an exception, an interrupt, or INT.
struct Event: BitwiseCopyable {
  var vector: UInt8
  /// Pushed where it is not `nil`.
  var errorCode: UInt32?
  /// INT n, INT3 and INTO: the gate's privilege counts.
  var isSoftware = false
  /// The address that the handler returns to.
  var returnAddress: UInt64
  /// Fault-class exceptions push RF set, so that the retried instruction meets no code breakpoint.
  var setsResume = false

  /// The EXT bit of error codes that delivering it raises.
  var external: UInt32 { isSoftware ? 0 : 1 }
}

/// Delivery of exceptions and interrupts. Reference: SDM vol. 3A, chapter 6.
extension Processor {
  /// Delivers an exception in place of the instruction at ``CPUState/instructionPointer``;
  /// `.stop(.shutdown)` after a triple fault.
  package func deliver(fault: GuestFault) -> Outcome {
    var current = fault
    while true {
      noteFault(current)
      do {
        try deliver(event(for: current))
        return .jumped
      } catch {
        guard let next = combine(current, error) else { return shutDown() }
        current = next
      }
    }
  }

  /// Delivers an external interrupt.
  package func deliverInterrupt(vector: UInt8) -> Outcome {
    deliverBenign(Event(vector: vector, returnAddress: cpu.instructionPointer))
  }

  /// Delivers a non-maskable interrupt, and holds further ones off until IRET.
  package func deliverNMI() -> Outcome {
    let event = Event(
      vector: ExceptionVector.nonMaskableInterrupt.rawValue, returnAddress: cpu.instructionPointer)
    let outcome = deliverBenign(event)
    cpu.nmiBlocked = 1
    return outcome
  }

  /// Delivers an exception with a vector that this processor never raises itself.
  func deliverOther(_ vector: UInt8, errorCode: UInt32?) -> Outcome {
    deliverBenign(
      Event(
        vector: vector, errorCode: cpu.isProtected ? errorCode : nil,
        returnAddress: cpu.instructionPointer))
  }

  private func deliverBenign(_ event: Event) -> Outcome {
    do {
      try deliver(event)
      return .jumped
    } catch {
      return deliver(fault: error)
    }
  }

  /// Goes through the gate of an event; registers change only once nothing can fault any more.
  func deliver(_ event: Event) throws(GuestFault) {
    if !cpu.isProtected {
      try deliverReal(event)
    } else if cpu.isLongMode {
      try deliverLong(event)
    } else {
      try deliverProtected(event)
    }
    cpu.halted = 0
    cpu.interruptShadow = 0
    // An instruction that leads to a handler is not followed by the trap of a step.
    run.isStepping &= ~RunState.guestStep
  }

  private func event(for fault: GuestFault) -> Event {
    let pushesCode = fault.vector.hasErrorCode && cpu.isProtected
    let keepsResume: Bool =
      switch fault.vector {
      case .debug, .nonMaskableInterrupt, .breakpoint, .overflow, .doubleFault, .machineCheck: true
      default: false
      }
    return Event(
      vector: fault.vector.rawValue, errorCode: pushesCode ? fault.errorCode : nil,
      returnAddress: cpu.instructionPointer, setsResume: !keepsResume || fault.setsResume)
  }

  /// What an exception leaves behind besides its frame, whether or not its handler is reached.
  private func noteFault(_ fault: GuestFault) {
    switch fault.vector {
    case .pageFault: cpu.cr2 = fault.address
    // The handler may use debug registers: general detection goes off.
    case .debug: cpu.debugRegisters[7] &= ~0x2000
    default: break
    }
  }

  /// What a second exception makes of a first one's delivery; `nil` for a triple fault.
  private func combine(_ first: GuestFault, _ second: GuestFault) -> GuestFault? {
    if first.vector == .doubleFault { return second.isBenign ? second : nil }
    let isDouble =
      first.isContributory && second.isContributory
      || first.vector == .pageFault && !second.isBenign
    guard isDouble else { return second }
    noteFault(second)
    return GuestFault(.doubleFault)
  }

  private func shutDown() -> Outcome {
    cpu.halted = 0
    return .stop(.shutdown)
  }
}

extension GuestFault {
  /// One of the faults that make a double fault of each other. Reference: SDM vol. 3A, table 6-4.
  var isContributory: Bool {
    switch vector {
    case .divideError, .invalidTaskState, .segmentNotPresent, .stackFault, .generalProtection: true
    default: false
    }
  }
  var isBenign: Bool { !isContributory && vector != .pageFault && vector != .doubleFault }
}

/// INT and its kind.
extension Processor {
  /// INT n: out of virtual-8086 mode only with IOPL 3.
  func softwareInterrupt(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let vector = UInt8(truncatingIfNeeded: instruction.immediate)
    if cpu.isVirtual8086 {
      if cpu.cr4.contains(.virtual8086), try isRedirected(vector) {
        try redirect(vector, returnAddress: cpu.instructionPointer &+ UInt64(instruction.length))
        return .jumped
      }
      if cpu.ioPrivilege < 3 { throw .protection }
    }
    return try trap(vector, instruction, isSoftware: true)
  }

  func breakpoint(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    if let outcome = catchBreakpoint() { return outcome }
    return try trap(ExceptionVector.breakpoint.rawValue, instruction, isSoftware: true)
  }

  func overflow(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    guard cpu.savedFlags & 1 != 0 else { return .next }
    return try trap(ExceptionVector.overflow.rawValue, instruction, isSoftware: true)
  }

  /// INT1: a debug trap, whatever the gate's privilege.
  func debugTrap(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    cpu.debugRegisters[7] &= ~0x2000
    let outcome = try trap(ExceptionVector.debug.rawValue, instruction, isSoftware: false)
    // Breakpoints that waited for MOV SS are reported with it.
    if run.debugHits != 0 {
      cpu.debugRegisters[6] = (cpu.debugRegisters[6] & ~0xf) | UInt64(run.debugHits)
      run.debugHits = 0
    }
    return outcome
  }

  private func trap(
    _ vector: UInt8, _ instruction: borrowing Instruction, isSoftware: Bool
  ) throws(GuestFault) -> Outcome {
    let next = cpu.instructionPointer &+ UInt64(instruction.length)
    try deliver(Event(vector: vector, isSoftware: isSoftware, returnAddress: next))
    return .jumped
  }
}
