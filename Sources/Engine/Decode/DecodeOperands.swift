// Memory operands
extension Decoding {
  @inline(__always)
  mutating func readMemory(_ instruction: inout Instruction, vectorIndex: Bool) {
    instruction.hasMemory = true
    if instruction.addressSize == 2 { return readMemory16(&instruction) }
    let mode = modRM >> 6
    var base = modRM & 7
    if base == 4 {
      let sib = nextByte()
      base = sib & 7
      let index = (sib >> 3) & 7 | (extensions & 2) << 2
      if index != 4 || vectorIndex {
        instruction.index = index
        instruction.scaleShift = sib >> 6
      }
      if base != 5 || mode != 0 { instruction.base = base | (extensions & 1) << 3 }
    } else if base == 5, mode == 0 {
      instruction.base = mode64 ? Instruction.instructionPointer : Instruction.noRegister
    } else {
      instruction.base = base | (extensions & 1) << 3
    }
    if mode == 1 {
      instruction.displacement = nextSigned(1)
    } else if mode == 2 || base == 5 && mode == 0 {
      instruction.displacement = nextSigned(4)
    }
    setSegment(&instruction)
  }

  /// BX+SI and its kind.
  mutating func readMemory16(_ instruction: inout Instruction) {
    let mode = modRM >> 6
    let bases: [8 of UInt8] = [3, 3, 5, 5, 6, 7, 5, 3]
    let indexes: [8 of UInt8] = [6, 7, 6, 7, 0xff, 0xff, 0xff, 0xff]
    if mode == 0, modRM & 7 == 6 {
      instruction.displacement = nextSigned(2)
    } else {
      instruction.base = bases[Int(modRM & 7)]
      instruction.index = indexes[Int(modRM & 7)]
      instruction.displacement = nextSigned(mode)
    }
    setSegment(&instruction)
  }

  /// SS where rBP or rSP is the base, DS elsewhere, unless overridden.
  @inline(__always)
  func setSegment(_ instruction: inout Instruction) {
    if segmentOverride != Instruction.noRegister {
      instruction.segment = segmentOverride
    } else if instruction.base == 4 || instruction.base == 5 {
      instruction.segment = 2
    }
  }
}

// What the row says
extension Decoding {
  @inline(__always)
  mutating func fill(
    _ instruction: inout Instruction, _ number: Int, _ row: UnsafePointer<CompactRow>
  ) {
    let sizeIndex = operandSizeIndex(unsafe row.pointee.sizing)
    instruction.operandSize = 2 << UInt8(sizeIndex)
    let context = SizeContext(
      operandSizeIndex: sizeIndex,
      addressSizeIndex: instruction.addressSize.trailingZeroBitCount &- 1,
      vectorLong: vectorLong, mode64: mode64)
    unsafe readImmediates(&instruction, row, context)
    unsafe fillOperands(&instruction, row, context)
    if unsafe row.pointee.check != .none {
      guard passes(unsafe row.pointee.check, instruction) else {
        instruction.operandCount = 0
        return
      }
    }
    instruction.row = UInt16(truncatingIfNeeded: number)
    instruction.operation = unsafe row.pointee.operation
    instruction.unit = unsafe row.pointee.unit
    instruction.mandatoryPrefix = unsafe row.pointee.mandatoryPrefix
    instruction.flagsRead = unsafe row.pointee.flags.read
    instruction.flagsWritten = unsafe row.pointee.flags.written
    instruction.flagsMaybeWritten = unsafe row.pointee.flags.maybe
    if unsafe !row.pointee.traits.isDisjoint(with: .conditionalOrCounted) {
      adjustFlags(&instruction, unsafe row.pointee.traits)
    }
    if encoding == .vex && !mode64 { narrowVEX(&instruction) }
  }

  /// Outside 64-bit mode, VEX.W does not widen general registers, and there are eight of each
  /// kind: the top bit of a register number in the immediate is ignored.
  private func narrowVEX(_ instruction: inout Instruction) {
    for index in 0..<Int(instruction.operandCount) {
      if instruction.operands[index].kind == .general { instruction.wide = false }
      if instruction.operands[index].place == .immediateHigh {
        instruction.operands[index].number &= 7
      }
    }
    // VCVTSI2SS and SD, VMOVD and VMOVQ: their memory operand is four bytes, too.
    if map == .twoByte && [0x2a, 0x6e, 0x7e].contains(opcode) { instruction.wide = false }
    if map == .threeByte3A && (opcode == 0x16 || opcode == 0x22) && extensions & 8 != 0 {
      instruction.operation = .undefined  // VPEXTRQ and VPINSRQ
    }
  }

  /// log2 of the operand size, less one.
  @inline(__always)
  func operandSizeIndex(_ sizing: OperandSizing) -> Int {
    let override = prefixes.contains(.operandSize)
    guard mode64 else {
      if sizing == .ignores66 { return 1 }
      return override == (codeSize == .bits16) ? 1 : 0
    }
    if extensions & 8 != 0 { return 2 }
    switch sizing {
    case .normal: return override ? 0 : 1
    case .default64: return override ? 0 : 2
    case .force64: return 2
    case .ignores66: return 1
    }
  }

  @inline(__always)
  mutating func readImmediates(
    _ instruction: inout Instruction, _ row: UnsafePointer<CompactRow>, _ context: SizeContext
  ) {
    guard unsafe row.pointee.immediate != .none else { return }
    let size = UInt8(
      truncatingIfNeeded: tables.bytes(unsafe row.pointee.immediate, context))
    let value = nextSigned(size)
    if unsafe row.pointee.operation == .moveOffset {
      instruction.hasMemory = true
      instruction.displacement =
        size == 4 ? value & 0xffff_ffff : size == 2 ? value & 0xffff : value
      setSegment(&instruction)
      return
    }
    instruction.immediateSize = size
    instruction.immediate = value
    switch unsafe row.pointee.secondImmediate {
    case 1: instruction.secondImmediate = UInt16(nextByte())
    case 2: instruction.secondImmediate = UInt16(truncatingIfNeeded: nextSigned(2))
    default: break
    }
  }

  @inline(__always)
  func fillOperands(
    _ instruction: inout Instruction, _ row: UnsafePointer<CompactRow>, _ context: SizeContext
  ) {
    let count = unsafe row.pointee.operandCount
    instruction.operandCount = count
    let isMemory = instruction.hasMemory
    let numbers = registerNumbers(instruction)
    let lowBytes = encoding == .vex || prefixes.contains(.rex)
    for index in 0..<Int(count) {
      let form = unsafe row.pointee.forms[index]
      var operand = Operand(
        kind: form.kind, place: form.place, access: form.access, number: form.number, size: 0)
      if form.kind == .memory || form.place == .modRMMemory && isMemory {
        let size = tables.bytes(form.memorySize, context)
        operand.kind = .memory
        operand.size = size > 255 ? 0 : UInt8(truncatingIfNeeded: size)
        instruction.memorySize = size
        instruction.memoryAccess.formUnion(form.access)
      } else {
        let shift = UInt64(form.place.rawValue) &* 8
        operand.number |= UInt8(truncatingIfNeeded: numbers &>> shift) & form.numberMask
        operand.size = UInt8(truncatingIfNeeded: tables.bytes(form.size, context))
        if form.size == .b1, form.kind == .general, !lowBytes, operand.number >= 4 {
          operand.kind = .highByte
          operand.number &-= 4
        }
      }
      instruction.operands[index] = operand
    }
  }

  /// The register that each ``OperandPlace`` names, a byte each.
  @inline(__always)
  func registerNumbers(_ instruction: Instruction) -> UInt64 {
    let register = UInt64((modRM >> 3) & 7 | (extensions & 4) << 1)
    let memory = UInt64(modRM & 7 | (extensions & 1) << 3)
    let low = UInt64(opcode & 7 | (extensions & 1) << 3)
    let vex = UInt64(mode64 ? vexRegister : vexRegister & 7)
    let high = UInt64(truncatingIfNeeded: instruction.immediate >> 4) & (mode64 ? 15 : 7)
    return register << 8 | memory << 16 | vex << 24 | low << 32 | high << 40
  }

  /// Whether the registers are such as the instruction allows.
  func passes(_ check: RowCheck, _ instruction: Instruction) -> Bool {
    let register = (modRM >> 3) & 7 | (extensions & 4) << 1
    switch check {
    case .none: return true
    case .segmentSource: return register & 7 < 6
    case .segmentTarget: return register & 7 < 6 && register & 7 != 1
    case .control: return register < 9 && 0b1_0001_1101 >> register & 1 != 0
    case .debug: return register < 8
    case .gather:
      let mask = instruction.operands[2].number
      return modRM & 7 == 4 && register != instruction.index && register != mask
        && mask != instruction.index
    }
  }

  func adjustFlags(_ instruction: inout Instruction, _ traits: CompactRow.Traits) {
    if traits.contains(.conditional) {
      instruction.flagsRead = ArithmeticFlags.read(byCondition: opcode)
    } else if traits.contains(.counted) {
      let count = UInt8(truncatingIfNeeded: instruction.immediate)
      let wide = instruction.operandSize == 8
      if count & 31 == 0 {
        // Whether REX.W widens the count of a byte form is not said.
        let unsure = wide && count & 32 != 0 && instruction.operands[0].size == 1
        let certain = wide && count & 32 != 0 && !unsure
        if unsure { instruction.flagsMaybeWritten = instruction.flagsWritten }
        if !certain { instruction.flagsWritten = [] }
      }
    } else if repeatByte != 0 {
      // A count of 0 compares nothing.
      instruction.flagsMaybeWritten = instruction.flagsWritten
      instruction.flagsWritten = []
    }
  }
}

extension ArithmeticFlags {
  /// The flags that a condition (the low nibble of Jcc, SETcc, CMOVcc) depends on.
  package static func read(byCondition condition: UInt8) -> ArithmeticFlags {
    switch (condition >> 1) & 7 {
    case 0: .overflow
    case 1: .carry
    case 2: .zero
    case 3: [.carry, .zero]
    case 4: .sign
    case 5: .parity
    case 6: [.sign, .overflow]
    default: [.zero, .sign, .overflow]
    }
  }
}
