internal import X86

/// SYSCALL, SYSRET, SYSENTER and SYSEXIT, with the differences between vendors that CPUID's
/// vendor string promises.
///
/// Reference: APM vol. 3, SYSCALL and SYSRET; SDM vol. 2B, SYSENTER and SYSEXIT.
extension Processor {
  /// Types of the segments that these instructions load: accessed, readable and writable.
  private static let codeType: UInt8 = 11
  private static let dataType: UInt8 = 3

  /// Whether CPUID names a vendor whose processors take SYSCALL outside 64-bit mode, and have no
  /// SYSENTER in long mode.
  var isAMD: Bool {
    environment.identify(leaf: 0, subleaf: 0).ebx == 0x6874_7541  // "Auth"
  }

  func systemCall(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    guard cpu.efer.contains(.systemCall), cpu.isProtected, cpu.is64Bit || isAMD else {
      throw .undefined
    }
    let next = cpu.instructionPointer &+ UInt64(instruction.length)
    let selector = UInt16(truncatingIfNeeded: cpu.star &>> 32)
    if cpu.isLongMode {
      let target = cpu.is64Bit ? cpu.longStar : cpu.compatibilityStar
      let flags = cpu.flags.rawValue
      cpu.registers[1] = next
      cpu.registers[11] = flags & ~RFLAGS.resume.rawValue
      let kept = flags & ~cpu.systemCallMask & ~RFLAGS.resume.rawValue
      cpu.flags = RFLAGS(rawValue: kept & RFLAGS.writable.rawValue)
      cpu.instructionPointer = target
    } else {
      cpu.registers[1] = next & 0xffff_ffff
      let cleared: RFLAGS = [.interrupt, .resume, .virtual8086]
      cpu.systemFlags &= ~cleared.rawValue
      cpu.instructionPointer = cpu.star & 0xffff_ffff
    }
    enterFlat(selector & 0xfffc, stack: (selector & 0xfffc) &+ 8, privilege: 0)
    stepByNewFlags()
    return .jumped
  }

  func systemReturn(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    guard cpu.efer.contains(.systemCall), cpu.isProtected, cpu.is64Bit || isAMD else {
      throw .undefined
    }
    guard cpu.privilege == 0 else { throw .protection }
    let selector = UInt16(truncatingIfNeeded: cpu.star &>> 48)
    let isWide = instruction.operandSize == 8
    let isLong = cpu.isLongMode && isWide
    let target = isLong ? cpu.registers[1] : cpu.registers[1] & 0xffff_ffff
    guard !isLong || target.isCanonical || isAMD else { throw .protection }
    if cpu.isLongMode {
      let dropped: RFLAGS = [.resume, .virtual8086]
      cpu.flags = RFLAGS(
        rawValue: cpu.registers[11] & RFLAGS.writable.rawValue & ~dropped.rawValue)
    } else {
      cpu.systemFlags |= RFLAGS.interrupt.rawValue
    }
    enterFlat(
      (isLong ? selector &+ 16 : selector) | 3, stack: (selector &+ 8) | 3, privilege: 3,
      isLong: isLong)
    cpu.instructionPointer = target
    stepByNewFlags()
    return .jumped
  }

  /// SYSCALL and SYSRET trap if the flags that they leave say so, not those before.
  private func stepByNewFlags() {
    run.isStepping &= ~RunState.guestStep
    if cpu.hasFlag(.trap) { run.isStepping |= RunState.guestStep }
  }

  func systemEnter() throws(GuestFault) -> Outcome {
    if cpu.isLongMode && isAMD { throw .undefined }
    let selector = UInt16(truncatingIfNeeded: cpu.sysenterCS) & 0xfffc
    guard cpu.isProtected && selector != 0 else { throw .protection }
    let cleared: RFLAGS = [.interrupt, .resume, .virtual8086]
    cpu.systemFlags &= ~cleared.rawValue
    let reach = cpu.isLongMode ? UInt64.max : 0xffff_ffff
    cpu.registers[4] = cpu.sysenterESP & reach
    cpu.instructionPointer = cpu.sysenterEIP & reach
    enterFlat(selector, stack: selector &+ 8, privilege: 0)
    return .jumped
  }

  func systemExit(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    if cpu.isLongMode && isAMD { throw .undefined }
    let selector = UInt16(truncatingIfNeeded: cpu.sysenterCS) & 0xfffc
    guard cpu.isProtected && selector != 0 && cpu.privilege == 0 else { throw .protection }
    let isWide = instruction.operandSize == 8
    let isLong = cpu.isLongMode && isWide
    let (target, top) = (cpu.registers[2], cpu.registers[1])
    guard !isLong || (target.isCanonical && top.isCanonical) else { throw .protection }
    let reach = isLong ? UInt64.max : 0xffff_ffff
    cpu.registers[4] = top & reach
    cpu.instructionPointer = target & reach
    let code = selector &+ (isLong ? 32 : 16)
    enterFlat(code | 3, stack: (code &+ 8) | 3, privilege: 3, isLong: isLong)
    return .jumped
  }

  /// Loads flat CS and SS without looking at any table. Kernels of long mode are 64-bit.
  private func enterFlat(_ code: UInt16, stack: UInt16, privilege: UInt8, isLong: Bool? = nil) {
    cpu[.cs] = .flat(
      code, type: Processor.codeType, privilege: privilege, isLong: isLong ?? cpu.isLongMode)
    cpu[.ss] = .flat(stack, type: Processor.dataType, privilege: privilege)
    cpu.privilege = privilege
    cpu.interruptShadow = 0
  }
}
