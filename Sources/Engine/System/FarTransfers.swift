internal import X86

/// Far JMP, CALL and RET. Reference: SDM vol. 3A, section 5.8.
extension Processor {
  func jumpFar(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let (selector, offset) = try farTarget(instruction)
    if cpu.hasRealSegments {
      guard offset <= UInt64(cpu[.cs].limit) else { throw .protection }
      loadRealSegment(.cs, selector)
      cpu.instructionPointer = offset
      return .jumped
    }
    let target = try transferDescriptor(selector)
    if target.isSystem {
      return try jumpThroughSystem(target, selector, instruction)
    }
    enterCode(try checkedCode(target, selector, offset), selector, offset)
    return .jumped
  }

  func callFar(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let (selector, offset) = try farTarget(instruction)
    let size = instruction.operandSize
    let next = cpu.instructionPointer &+ UInt64(instruction.length)
    if cpu.hasRealSegments {
      guard offset <= UInt64(cpu[.cs].limit) else { throw .protection }
      try pushReturn(next, size)
      loadRealSegment(.cs, selector)
      cpu.instructionPointer = offset
      return .jumped
    }
    let target = try transferDescriptor(selector)
    if target.isSystem {
      return try callThroughSystem(target, selector, returnAddress: next)
    }
    // Pushing comes after the last check of the target, and before any change.
    let code = try checkedCode(target, selector, offset)
    try pushReturn(next, size)
    enterCode(code, selector, offset)
    return .jumped
  }

  func returnFar(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let size = instruction.operandSize
    let released = UInt64(bitPattern: instruction.immediate) & 0xffff
    var stack = currentStack
    let pointer = try pop(size: size, from: &stack)
    let selector = UInt16(truncatingIfNeeded: try pop(size: size, from: &stack))
    stack.pointer = stack.pointer &+ (instruction.immediateSize == 0 ? 0 : released)
    if cpu.hasRealSegments {
      guard pointer <= UInt64(cpu[.cs].limit) else { throw .protection }
      commit(stack)
      loadRealSegment(.cs, selector)
      cpu.instructionPointer = pointer
      return .jumped
    }
    let code = try returnSegment(selector)
    try checkTarget(pointer, code)
    let privilege = UInt8(selector & 3)
    if privilege > cpu.privilege {
      let top = try pop(size: size, from: &stack)
      let outer = UInt16(truncatingIfNeeded: try pop(size: size, from: &stack))
      let segment = try outerStack(outer, privilege: privilege, code)
      let isLongStack = cpu.isLongMode && code.attributes[.long]
      cpu[.ss] = segment
      let width: UInt8 = isLongStack ? 8 : segment.attributes[.defaultBig] ? 4 : 2
      setRegister(4, size: width, top &+ (instruction.immediateSize == 0 ? 0 : released))
      cpu.privilege = privilege
      dropInnerSegments()
    } else {
      commit(stack)
    }
    cpu[.cs] = code.register(selector)
    cpu.instructionPointer = pointer
    return .jumped
  }

  /// The selector and offset in the instruction, or in memory.
  private func farTarget(
    _ instruction: borrowing Instruction
  ) throws(GuestFault) -> (selector: UInt16, offset: UInt64) {
    if instruction.hasMemory { return try readFarPointer(instruction) }
    let offset = UInt64(bitPattern: instruction.immediate) & mask(bytes: instruction.operandSize)
    return (instruction.secondImmediate, offset)
  }

  private func transferDescriptor(_ selector: UInt16) throws(GuestFault) -> Descriptor {
    guard selector & 0xfffc != 0 else { throw .protection }
    guard let target = try descriptor(selector) else { throw .protection(selector) }
    return target
  }

  /// A code segment that JMP or CALL names directly, after all checks and marked as accessed.
  private func checkedCode(
    _ target: Descriptor, _ selector: UInt16, _ offset: UInt64
  ) throws(GuestFault) -> Descriptor {
    var code = target
    let requested = UInt8(selector & 3)
    guard code.isCode,
      code.isConforming
        ? code.privilege <= cpu.privilege
        : code.privilege == cpu.privilege && requested <= cpu.privilege,
      !(cpu.isLongMode && code.attributes[.long] && code.attributes[.defaultBig])
    else { throw .protection(selector) }
    guard code.isPresent else { throw .notPresent(selector) }
    try checkTarget(offset, code)
    try markAccessed(&code, selector)
    return code
  }

  private func enterCode(_ code: Descriptor, _ selector: UInt16, _ offset: UInt64) {
    cpu[.cs] = code.register(selector & 0xfffc | UInt16(cpu.privilege))
    cpu.instructionPointer = offset
  }

  private func pushReturn(_ next: UInt64, _ size: UInt8) throws(GuestFault) {
    var stack = currentStack
    try push(UInt64(cpu[.cs].selector), size: size, on: &stack)
    try push(next, size: size, on: &stack)
    commit(stack)
  }
}
