internal import X86

/// MOV to and from debug registers. Reference: SDM vol. 3B, chapter 18.
extension Processor {
  func moveFromDebug(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let number = try debugRegister(instruction)
    setRegister(
      modRMRegisterOperand(instruction), size: cpu.is64Bit ? 8 : 4, cpu.debugRegisters[number])
    return .next
  }

  func moveToDebug(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let number = try debugRegister(instruction)
    let value = register(modRMRegisterOperand(instruction), size: cpu.is64Bit ? 8 : 4)
    guard number < 6 || value >> 32 == 0 else { throw .protection }
    // Without breakpoints nobody has looked for RF's end.
    cpu.systemFlags &= ~RFLAGS.resume.rawValue
    switch number {
    case 6:
      cpu.debugRegisters[6] = (value & 0xe00f) | 0xffff_0ff0
    case 7:
      cpu.debugRegisters[7] = (value & 0xffff_2bff) | 0x400
      debugChanged()
      return .nextInNewMode
    default:
      cpu.debugRegisters[number] = value
      debugChanged()
      return .nextInNewMode
    }
    return .next
  }

  /// The register meant, after all checks: 4 and 5 are other names of 6 and 7 unless CR4.DE.
  private func debugRegister(_ instruction: borrowing Instruction) throws(GuestFault) -> Int {
    var number = Int(instruction.modRMRegister)
    for index in 0..<2 where instruction.operands[index].kind == .debug {
      number = Int(instruction.operands[index].number)
    }
    guard number < 8 else { throw .undefined }
    if number == 4 || number == 5 {
      if cpu.cr4.contains(.debuggingExtensions) { throw .undefined }
      number += 2
    }
    try requireSupervisor()
    // General detection: the access itself is a debug exception.
    if detectsDebugAccess { throw GuestFault(.debug) }
    return number
  }
}
