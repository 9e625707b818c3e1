internal import Bits
internal import X86

/// ENTER, PUSHA, POPA and BOUND. Reference: SDM vol. 2.
extension Processor {
  func enterFrame(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let size = instruction.operandSize
    let locals = UInt64(bitPattern: instruction.immediate) & 0xffff
    let level = Int(instruction.secondImmediate & 31)
    var stack = currentStack
    try push(cpu.registers[5], size: size, on: &stack)
    let above = cpu.registers[4] & ~mask(bytes: stack.width)
    let frame = above | stack.pointer & mask(bytes: stack.width)
    if level > 0 {
      var link = stack
      link.pointer = cpu.registers[5]
      for _ in 1..<level {
        link.pointer = link.pointer &- UInt64(size)
        var source = link
        let outer = try pop(size: size, from: &source)
        try push(outer, size: size, on: &stack)
      }
      try push(frame, size: size, on: &stack)
    }
    stack.pointer = stack.pointer &- locals
    // The new top must be writable already: the manual checks it before RBP changes.
    let top = try stackAddress(stack, stack.pointer, size, for: .write)
    _ = try translate(top, stack.access.union(.write))
    setRegister(5, size: size, frame)
    commit(stack)
    return .next
  }

  func pushAll(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    var stack = currentStack
    for index in 0..<8 {
      try push(cpu.registers[index], size: instruction.operandSize, on: &stack)
    }
    commit(stack)
    return .next
  }

  func popAll(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let size = instruction.operandSize
    var stack = currentStack
    var values: InlineArray<8, UInt64> = .init(repeating: 0)
    for index in 0..<8 { values[7 - index] = try pop(size: size, from: &stack) }
    for index in 0..<8 where index != 4 { setRegister(UInt8(index), size: size, values[index]) }
    commit(stack)
    return .next
  }

  /// POP to memory where the operand's base is the stack pointer, as it is after the pop.
  func popToMemory(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let before = cpu.registers[4]
    var stack = currentStack
    let value = try pop(size: instruction.operandSize, from: &stack)
    commit(stack)
    do throws(GuestFault) {
      try writeMemoryOperand(of: instruction, size: Int(instruction.operandSize), value)
    } catch {
      cpu.registers[4] = before
      throw error
    }
    return .next
  }

  func checkBounds(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let size = Int(instruction.operandSize)
    let linear = try linearAddress(of: instruction, size: 2 * size, for: .read)
    let lower = try readLinear(linear, size: size, as: dataRead)
    let upper = try readLinear(
      (linear &+ UInt64(size)) & linearMask, size: size, as: dataRead)
    let value = register(instruction.operands[0].number, size: UInt8(size))
    func signed(_ bits: UInt64) -> Int64 { Int64(bitPattern: bits).signExtended(from: 8 * size) }
    guard signed(value) >= signed(lower), signed(value) <= signed(upper) else {
      throw GuestFault(.boundRange)
    }
    return .next
  }
}
