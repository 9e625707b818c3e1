// What of an instruction matters to access groups.
extension Instruction {
  private static let stackPointer: UInt8 = 4

  /// The memory operand as a group of its own; `nil` where it cannot be in one.
  var groupableOperand: AccessGroup? {
    guard hasMemory, !memoryAccess.isEmpty, operation.hasOrdinaryOperand, addressSize == 8,
      segment < 4, base < Self.instructionPointer, memorySize > 0, memorySize <= 64,
      let low = Int32(exactly: displacement), abs(low) < 1 << 30
    else { return nil }
    // POP to memory computes its address with the stack pointer moved.
    if operation == .pop { return nil }
    let write = memoryAccess.contains(.write)
    return AccessGroup(
      base: base, index: index, scaleShift: index == Self.noRegister ? 0 : scaleShift, check: 0,
      isWritten: write, isWrittenFirst: write, low: low, high: low + Int32(memorySize))
  }

  /// A push's or pop's access, by the stack pointer before it.
  var groupableStackAccess: AccessGroup? {
    let isWrite: Bool
    var base = Self.stackPointer
    switch operation {
    case .push, .pushFlags, .call, .callIndirect: isWrite = true
    case .pop, .returnNear: isWrite = false
    case .leave:
      isWrite = false
      base = 5
    default: return nil
    }
    guard operandSize == 8 else { return nil }
    return AccessGroup(
      base: base, index: Self.noRegister, scaleShift: 0, check: 0, isWritten: isWrite,
      isWrittenFirst: isWrite, low: isWrite ? -8 : 0, high: isWrite ? 0 : 8)
  }

  /// The register that the instruction moves by a constant, and how far.
  var constantMove: (register: UInt8, distance: Int32)? {
    switch operation {
    case .push where operandSize == 8: return (Self.stackPointer, -8)
    case .pushFlags where operandSize == 8: return (Self.stackPointer, -8)
    case .pop where operandSize == 8 && !hasMemory && operands[0].number != Self.stackPointer:
      return (Self.stackPointer, 8)
    case .plain: return constantSum
    case .loadAddress:
      guard operandSize == 8, addressSize == 8, index == Self.noRegister,
        base == operands[0].number, let distance = Int32(exactly: displacement)
      else { return nil }
      return (base, distance)
    default: return nil
    }
  }

  /// ADD, SUB, INC and DEC of a register.
  private var constantSum: (register: UInt8, distance: Int32)? {
    guard map == .oneByte, hasModRM, !hasMemory, operandSize == 8, !isVEX else { return nil }
    let distance: Int32
    switch (opcode, modRMRegister) {
    case (0x81, 0), (0x83, 0): distance = Int32(truncatingIfNeeded: immediate)
    case (0x81, 5), (0x83, 5): distance = 0 &- Int32(truncatingIfNeeded: immediate)
    case (0xff, 0): distance = 1
    case (0xff, 1): distance = -1
    default: return nil
    }
    return (operands[0].number, distance)
  }
}

extension Instruction {
  /// Whether what the instruction does in translated code leaves mappings as they are: it calls no
  /// helper but where an access fails or the block is left.
  var keepsMappings: Bool {
    switch operation {
    case .pushFlags: operandSize == 8
    case .moveFromSegment: !hasMemory && modRMRegister < 6
    default: operation.keepsMappings
    }
  }
}

extension Operation {
  /// Whether all instructions of the kind do.
  fileprivate var keepsMappings: Bool {
    switch self {
    case .plain, .shiftByCount, .compareExchangeWide, .compareStringsIndex, .noOperation,
      .cacheLineFlush, .loadAddress, .bitString, .push, .pop, .leave, .jump, .jumpConditional,
      .jumpIndirect, .call, .callIndirect, .returnNear:
      true
    default: false
    }
  }

  /// Whether the memory operand is where base, index and displacement say, and is all there is.
  var hasOrdinaryOperand: Bool {
    switch self {
    case .plain, .shiftByCount, .compareExchangeWide, .compareStringsIndex, .push, .jumpIndirect,
      .callIndirect:
      true
    default: false
    }
  }

  /// Whether the stack pointer afterwards is not a constant away from before.
  var movesStackFreely: Bool {
    switch self {
    case .push, .pop, .leave, .call, .callIndirect, .returnNear: true
    default: false
    }
  }
}
