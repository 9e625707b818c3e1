package import X86

/// Loads of segment registers by MOV, POP, LDS and their kind, with all checks.
///
/// Reference: SDM vol. 3A, sections 5.4 and 5.7; vol. 2B, MOV.
extension Processor {
  /// Loads ES, SS, DS, FS or GS.
  package func loadSegment(_ name: SegmentName, _ selector: UInt16) throws(GuestFault) {
    if cpu.hasRealSegments {
      loadRealSegment(name, selector)
    } else if name == .ss {
      cpu[.ss] = try stackSegment(selector, privilege: cpu.privilege)
    } else {
      cpu[name] = try dataSegment(selector)
    }
  }

  /// Real and virtual-8086 mode: a paragraph. Real mode keeps limit and rights, which is how
  /// "unreal" mode comes about; only what was null in protected mode becomes usable.
  func loadRealSegment(_ name: SegmentName, _ selector: UInt16) {
    var register = cpu[name]
    register.selector = selector
    register.base = UInt64(selector) << 4
    if cpu.isProtected || !register.attributes[.present] {
      register.limit = 0xffff
      register.attributes = SegmentAttributes(rawValue: cpu.isProtected ? 0xf3 : 0x93)
    }
    cpu[name] = register
  }

  private func dataSegment(_ selector: UInt16) throws(GuestFault) -> SegmentRegister {
    if selector & 0xfffc == 0 { return .null(selector) }
    guard var descriptor = try descriptor(selector), descriptor.isReadable else {
      throw .protection(selector)
    }
    if !(descriptor.isCode && descriptor.isConforming) {
      let requested = UInt8(selector & 3)
      guard max(requested, cpu.privilege) <= descriptor.privilege else {
        throw .protection(selector)
      }
    }
    guard descriptor.isPresent else { throw .notPresent(selector) }
    try markAccessed(&descriptor, selector)
    return descriptor.register(selector)
  }

  /// What SS holds after a load by code of a privilege level. In 64-bit mode below level 3 it may
  /// be null.
  func stackSegment(_ selector: UInt16, privilege: UInt8) throws(GuestFault) -> SegmentRegister {
    if selector & 0xfffc == 0 {
      guard cpu.is64Bit && privilege < 3 && selector & 3 == UInt16(privilege) else {
        throw .protection
      }
      return nullStack(privilege)
    }
    return try stackSegment(selector, privilege: privilege, otherwise: .generalProtection, 0)
  }

  /// A stack segment that is not null; where it does not fit, `fault` with the selector.
  func stackSegment(
    _ selector: UInt16, privilege: UInt8, otherwise fault: ExceptionVector, _ external: UInt32
  ) throws(GuestFault) -> SegmentRegister {
    let code = UInt32(selector & 0xfffc) | external
    guard selector & 3 == UInt16(privilege), var descriptor = try descriptor(selector),
      descriptor.isWritableData, descriptor.privilege == privilege
    else { throw GuestFault(fault, errorCode: code) }
    guard descriptor.isPresent else { throw GuestFault(.stackFault, errorCode: code) }
    try markAccessed(&descriptor, selector)
    return descriptor.register(selector)
  }

  /// The null SS of 64-bit code, which still says the privilege level.
  func nullStack(_ privilege: UInt8) -> SegmentRegister {
    var register = SegmentRegister.null(UInt16(privilege))
    register.attributes[.privilege] = privilege
    return register
  }
}

/// The instructions.
extension Processor {
  func moveToSegment(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    guard let name = SegmentName(rawValue: instruction.modRMRegister), name != .cs,
      name.rawValue < SegmentName.localTable.rawValue
    else { throw .undefined }
    let selector = UInt16(truncatingIfNeeded: try readSelector(instruction))
    try loadSegment(name, selector)
    return finishSegmentLoad(name)
  }

  /// MOV and POP to SS hold interrupts off for one instruction; a new SS or a 32-bit segment's new
  /// shape needs other translations.
  func finishSegmentLoad(_ name: SegmentName) -> Outcome {
    if name == .ss { cpu.interruptShadow = InterruptShadow.stackSegment }
    return cpu.is64Bit ? .next : .nextInNewMode
  }

  func moveFromSegment(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    guard instruction.modRMRegister < SegmentName.localTable.rawValue else { throw .undefined }
    let selector = UInt64(cpu.segments[Int(instruction.modRMRegister)].selector)
    try storeSelector(selector, instruction)
    return .next
  }

  /// Two bytes to memory, or the operand size's bytes to a register.
  func storeSelector(
    _ value: UInt64, _ instruction: borrowing Instruction
  ) throws(GuestFault) {
    if instruction.hasMemory {
      try writeMemoryOperand(of: instruction, size: 2, value)
    } else {
      setRegister(
        instruction.operands[0].number, size: instruction.operandSize, value)
    }
  }

  /// LES, LDS, LSS, LFS, LGS.
  func loadFarPointer(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let name: SegmentName =
      switch (instruction.map, instruction.opcode) {
      case (.oneByte, 0xc4): .es
      case (.oneByte, _): .ds
      case (_, 0xb2): .ss
      case (_, 0xb4): .fs
      default: .gs
      }
    let (selector, offset) = try readFarPointer(instruction)
    try loadSegment(name, selector)
    setRegister(instruction.operands[0].number, size: instruction.operandSize, offset)
    let outcome = finishSegmentLoad(name)
    cpu.interruptShadow = 0
    return outcome
  }

  /// An offset of the operand's size followed by a selector, at the memory operand.
  func readFarPointer(
    _ instruction: borrowing Instruction
  ) throws(GuestFault) -> (selector: UInt16, offset: UInt64) {
    let size = Int(instruction.operandSize)
    let linear = try linearAddress(of: instruction, size: size + 2, for: .read)
    let offset = try readLinear(linear, size: size, as: dataRead)
    let next = (linear &+ UInt64(size)) & linearMask
    let selector = try readLinear(next, size: 2, as: dataRead)
    return (UInt16(truncatingIfNeeded: selector), offset)
  }

  func pushSegment(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    var stack = currentStack
    let selector = UInt64(cpu[encodedSegment(instruction)].selector)
    // Of four bytes, the upper two stay as they are in memory, as on most processors.
    let isPartial = instruction.operandSize == 4
    if isPartial { stack.pointer = stack.pointer &- 2 }
    try push(selector, size: isPartial ? 2 : instruction.operandSize, on: &stack)
    commit(stack)
    return .next
  }

  func popSegment(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let name = encodedSegment(instruction)
    var stack = currentStack
    let selector = UInt16(
      truncatingIfNeeded: try pop(size: instruction.operandSize, from: &stack))
    try loadSegment(name, selector)
    // The stack keeps the width it had before SS changed.
    commit(stack)
    return finishSegmentLoad(name)
  }

  /// The segment register in bits 3 to 5 of PUSH's and POP's opcodes.
  private func encodedSegment(_ instruction: borrowing Instruction) -> SegmentName {
    SegmentName(rawValue: (instruction.opcode >> 3) & 7) ?? .es
  }

  /// RDFSBASE, RDGSBASE.
  func readSegmentBase(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkBaseAccess()
    let name: SegmentName = instruction.modRMRegister & 1 == 0 ? .fs : .gs
    setRegister(
      instruction.operands[0].number, size: instruction.operandSize, cpu[name].base)
    return .next
  }

  /// WRFSBASE, WRGSBASE.
  func writeSegmentBase(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkBaseAccess()
    let base = register(instruction.operands[0].number, size: instruction.operandSize)
    guard base.isCanonical else { throw .protection }
    cpu[instruction.modRMRegister & 1 == 0 ? .fs : .gs].base = base
    return .next
  }

  private func checkBaseAccess() throws(GuestFault) {
    guard cpu.is64Bit && cpu.cr4.contains(.fsgsbase) else { throw .undefined }
  }

  func swapSegmentBase() throws(GuestFault) -> Outcome {
    guard cpu.is64Bit else { throw .undefined }
    guard cpu.privilege == 0 else { throw .protection }
    let base = cpu[.gs].base
    cpu[.gs].base = cpu.kernelGSBase
    cpu.kernelGSBase = base
    return .next
  }
}
