internal import X86

/// Instructions on the flags outside the arithmetic ones.
extension Processor {
  /// Virtual-8086 code below IOPL 3 may not touch IF, unless CR4.VME gives it one of its own.
  private func virtualFlagsOnly() -> Bool {
    cpu.isVirtual8086 && cpu.ioPrivilege < 3
  }

  func pushFlags(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let hidden: RFLAGS = [.virtual8086, .resume]
    var image = cpu.flags.rawValue & ~hidden.rawValue
    if virtualFlagsOnly() {
      guard instruction.operandSize == 2 && cpu.cr4.contains(.virtual8086) else {
        throw .protection
      }
      image |= RFLAGS.ioPrivilege.rawValue
      let isEnabled = cpu.hasFlag(.virtualInterrupt)
      image &= ~RFLAGS.interrupt.rawValue
      if isEnabled { image |= RFLAGS.interrupt.rawValue }
    }
    var stack = currentStack
    try push(image, size: instruction.operandSize, on: &stack)
    commit(stack)
    return .next
  }

  func popFlags(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let before = cpu.systemFlags
    var stack = currentStack
    if virtualFlagsOnly() {
      try popVirtualFlags(instruction.operandSize, &stack)
    } else {
      let image = try pop(size: instruction.operandSize, from: &stack)
      let privilege: UInt8 = cpu.isVirtual8086 ? 3 : cpu.privilege
      popInto(image, instruction.operandSize, privilege)
    }
    commit(stack)
    let matters: RFLAGS = [
      .interrupt, .trap, .direction, .ioPrivilege, .alignmentCheck,
    ]
    return (before ^ cpu.systemFlags) & matters.rawValue == 0 ? .next : .nextInNewMode
  }

  private func popInto(_ image: UInt64, _ size: UInt8, _ privilege: UInt8) {
    // POPF differs from IRET: RF is cleared, and the virtual interrupt flags stay.
    let fixed: RFLAGS = [.virtualInterrupt, .virtualInterruptPending]
    let kept = cpu.systemFlags & fixed.rawValue
    restoreFlags(image & ~RFLAGS.resume.rawValue, size, privilege: privilege)
    cpu.systemFlags = (cpu.systemFlags & ~fixed.rawValue) | kept
  }

  private func popVirtualFlags(
    _ size: UInt8, _ stack: inout StackCursor
  ) throws(GuestFault) {
    guard size == 2 && cpu.cr4.contains(.virtual8086) else { throw .protection }
    let image = try pop(size: 2, from: &stack)
    try checkVirtualFlags(image)
    restoreFlags(image, 2, privilege: 3)
    setVirtualInterrupt(image & RFLAGS.interrupt.rawValue != 0)
  }

  /// What an image of flags may not ask for where the interrupt flag is virtual.
  func checkVirtualFlags(_ image: UInt64) throws(GuestFault) {
    let enables = image & RFLAGS.interrupt.rawValue != 0
    guard image & RFLAGS.trap.rawValue == 0,
      !(enables && cpu.hasFlag(.virtualInterruptPending))
    else { throw .protection }
  }

  func setVirtualInterrupt(_ value: Bool) {
    cpu.systemFlags &= ~RFLAGS.virtualInterrupt.rawValue
    if value { cpu.systemFlags |= RFLAGS.virtualInterrupt.rawValue }
  }

  /// Whose interrupt flag CLI and STI mean.
  private enum InterruptFlag { case own, virtual }

  private func interruptFlag() throws(GuestFault) -> InterruptFlag {
    if !cpu.isProtected || cpu.privilege <= cpu.ioPrivilege { return .own }
    let isVirtual =
      cpu.isVirtual8086
      ? cpu.cr4.contains(.virtual8086)
      : cpu.privilege == 3 && cpu.cr4.contains(.protectedVirtualInterrupts)
    guard isVirtual else { throw .protection }
    return .virtual
  }

  func clearInterrupt() throws(GuestFault) -> Outcome {
    switch try interruptFlag() {
    case .own: cpu.systemFlags &= ~RFLAGS.interrupt.rawValue
    case .virtual: setVirtualInterrupt(false)
    }
    return .next
  }

  func setInterrupt() throws(GuestFault) -> Outcome {
    switch try interruptFlag() {
    case .own:
      if cpu.hasFlag(.interrupt) { return .next }
      cpu.systemFlags |= RFLAGS.interrupt.rawValue
      cpu.interruptShadow = InterruptShadow.setInterrupt
      return .nextInNewMode
    case .virtual:
      if cpu.hasFlag(.virtualInterruptPending) { throw .protection }
      setVirtualInterrupt(true)
      return .next
    }
  }

  /// CLAC and STAC.
  func setAlignment(_ value: Bool) throws(GuestFault) -> Outcome {
    guard cpu.privilege == 0 else { throw .undefined }
    cpu.systemFlags &= ~RFLAGS.alignmentCheck.rawValue
    if value { cpu.systemFlags |= RFLAGS.alignmentCheck.rawValue }
    return .nextInNewMode
  }

  /// CLD and STD.
  func setDirection(_ value: Bool) -> Outcome {
    if cpu.hasFlag(.direction) == value { return .next }
    cpu.systemFlags ^= RFLAGS.direction.rawValue
    return .nextInNewMode
  }
}
