/// Emits a guest instruction again with other registers and another memory operand.
///
/// This is the whole trick of the engine: the opcode, its immediates and its meaning stay the
/// host's own. Registers that live in the state block, and the combinations that REX forbids with
/// AH to BH, go through the two scratch registers.
struct InstructionEncoder {
  let instruction: Instruction
  /// Where the memory operand is; `nil` without one. `[R11]`, `[RCX]` or `[R11 + RCX]`.
  let pointer: HostOperand?

  private var registerField: UInt8
  private var vexField: UInt8 = 0
  private var lowField: UInt8
  private var operandField: HostOperand
  private var needsREX = false
  private var usesHighByte = false
  /// Whether RCX holds guest RCX for a count in CL, and so is no temporary.
  private let countsInScratch: Bool
  /// Guest registers held in RCX, in R11 and in a borrowed register for this instruction.
  private var inScratch: UInt8?
  private var inAddress: UInt8?
  private var inBorrowed: UInt8?
  private var borrowed = HostRegister.rax
  /// Whether RBX stands in for guest RCX, whose CH is beside a pointer. Not RAX, which CMPXCHG
  /// uses besides.
  private var borrowsRBX = false

  init(_ instruction: Instruction, pointer: HostOperand?, countsInScratch: Bool = false) {
    self.instruction = instruction
    self.pointer = pointer
    self.countsInScratch = countsInScratch
    registerField = instruction.modRMRegister
    lowField = instruction.opcode & 7
    operandField = pointer ?? .register(instruction.modRM & 7)
  }

  /// Whether emitting the instruction takes RCX, so that the pointer must be in R11 alone.
  @inline(always)
  static func needsScratch(_ instruction: Instruction) -> Bool {
    for position in 0..<Int(instruction.operandCount) {
      let operand = instruction.operands[position]
      if operand.kind == .general && RegisterMap.host(operand.number) == nil { return true }
      if operand.kind == .highByte { return true }
    }
    return false
  }

  /// Emits the register loads, the instruction, and the register stores.
  mutating func emit(into writer: inout CodeWriter) {
    assignTemporaries()
    if countsInScratch { writer.move(.scratch, .r10) }
    prepareHighByte(&writer)
    if inBorrowed != nil { writer.store(borrowed, Self.borrowSlot) }
    loadTemporaries(&writer)
    assignFields()
    if instruction.isVEX { emitVEX(&writer) } else { emitLegacy(&writer) }
    storeTemporaries(&writer)
    if inBorrowed != nil { writer.load(borrowed, Self.borrowSlot) }
    if borrowsRBX { writer.load(.rbx, .state(StateLayout.run(\.spill))) }
  }

  /// Where a borrowed register's value waits.
  private static var borrowSlot: HostOperand { .state(StateLayout.run(\.spill) + 8) }
}

// MARK: Temporaries

extension InstructionEncoder {
  /// Whether the operand's register must be in a temporary.
  private func needsTemporary(_ operand: Operand) -> Bool {
    guard operand.kind == .general, operand.place != .implicit else { return false }
    guard let host = RegisterMap.host(operand.number) else { return true }
    // With AH to BH no other register may need a REX prefix.
    return usesHighByte && host.rawValue >= 8
  }

  private mutating func assignTemporaries() {
    let count = Int(instruction.operandCount)
    for position in 0..<count where instruction.operands[position].kind == .highByte {
      usesHighByte = true
    }
    // Registers that are read first: those only written may take the pointer's place.
    for position in 0..<count {
      let operand = instruction.operands[position]
      guard needsTemporary(operand), isLoaded(operand) else { continue }
      assignTemporary(to: operand.number, mayReplacePointer: false)
    }
    for position in 0..<count where needsTemporary(instruction.operands[position]) {
      assignTemporary(to: instruction.operands[position].number, mayReplacePointer: true)
    }
  }

  /// Whether RCX holds guest RCX because the instruction names CH.
  private var scratchHoldsCH: Bool {
    pointer == nil
      && (0..<Int(instruction.operandCount)).contains {
        instruction.operands[$0].kind == .highByte && instruction.operands[$0].number == 1
      }
  }

  private mutating func assignTemporary(to guest: UInt8, mayReplacePointer: Bool) {
    guard temporary(of: guest) == nil else { return }
    if scratchHoldsCH && guest == 1 {
      inScratch = guest  // CL beside CH: one copy for both
      return
    }
    if inScratch == nil && !countsInScratch && !scratchHoldsCH {
      inScratch = guest
    } else if inAddress == nil && !usesHighByte && (pointer == nil || mayReplacePointer) {
      inAddress = guest
    } else {
      inBorrowed = guest
      borrowed = unusedRegister()
    }
  }

  /// A resident register that the instruction does not name.
  private func unusedRegister() -> HostRegister {
    for candidate in [HostRegister.rax, .rbx, .rbp, .rsi, .rdi] {
      let isUsed = (0..<Int(instruction.operandCount)).contains {
        instruction.operands[$0].kind == .general
          && instruction.operands[$0].number == candidate.rawValue
      }
      if !isUsed { return candidate }
    }
    return .rdx
  }

  /// Whether the operand's temporary must hold its value before the instruction.
  private func isLoaded(_ operand: Operand) -> Bool {
    operand.access.contains(.read) || operand.size < 4
  }

  private func temporary(of guest: UInt8) -> HostRegister? {
    if inScratch == guest { return .scratch }
    if inAddress == guest { return .address }
    return inBorrowed == guest ? borrowed : nil
  }

  /// AH to BH cannot be encoded beside a REX prefix, which R11 needs: the pointer goes to RCX.
  private mutating func prepareHighByte(_ writer: inout CodeWriter) {
    guard usesHighByte else { return }
    let usesCH = (0..<Int(instruction.operandCount)).contains {
      instruction.operands[$0].kind == .highByte && instruction.operands[$0].number == 1
    }
    if pointer != nil {
      writer.move(.scratch, .address)
      operandField = .memory(base: .scratch, index: nil, displacement: 0)
      if usesCH {
        borrowsRBX = true
        writer.store(.rbx, .state(StateLayout.run(\.spill)))
        writer.move(.rbx, .r10)
      }
    } else if usesCH {
      writer.move(.scratch, .r10)
    }
  }

  private func source(_ guest: UInt8) -> HostOperand {
    RegisterMap.operand(guest)
  }

  private func loadTemporaries(_ writer: inout CodeWriter) {
    for position in 0..<Int(instruction.operandCount) {
      let operand = instruction.operands[position]
      guard isLoaded(operand), needsTemporary(operand),
        let temporary = temporary(of: operand.number)
      else { continue }
      writer.load(temporary, source(operand.number))
    }
  }

  private func storeTemporaries(_ writer: inout CodeWriter) {
    for position in 0..<Int(instruction.operandCount) {
      let operand = instruction.operands[position]
      guard operand.access.contains(.write) else { continue }
      if operand.kind == .highByte && operand.number == 1 {
        writer.move(.r10, borrowsRBX ? .rbx : .scratch)
      } else if needsTemporary(operand), let temporary = temporary(of: operand.number) {
        writer.store(temporary, source(operand.number))
      }
    }
  }
}

// MARK: Fields

extension InstructionEncoder {
  private mutating func assignFields() {
    for position in 0..<Int(instruction.operandCount) {
      let operand = instruction.operands[position]
      guard let field = field(of: operand) else { continue }
      switch operand.place {
      case .modRMRegister: registerField = field
      case .modRMMemory: operandField = .register(field)
      case .vexRegister: vexField = field
      case .opcodeLow: lowField = field
      case .implicit, .immediateHigh, .immediate: break
      }
    }
  }

  /// The number that the encoding gives the operand; `nil` when it is no register.
  private mutating func field(of operand: Operand) -> UInt8? {
    switch operand.kind {
    case .general:
      let host = temporary(of: operand.number) ?? RegisterMap.host(operand.number)
      guard let host else { return nil }
      let isEncoded = operand.place != .implicit
      if isEncoded && operand.size == 1 && host.rawValue >= 4 { needsREX = true }
      return host.rawValue
    case .highByte: return operand.number == 1 && borrowsRBX ? 7 : operand.number + 4
    case .vector, .mmx, .x87: return operand.number
    case .none, .segment, .control, .debug, .memory, .immediate, .relative: return nil
    }
  }

  private var hasLowRegister: Bool {
    for position in 0..<Int(instruction.operandCount)
    where instruction.operands[position].place == .opcodeLow {
      return true
    }
    return false
  }

  private func emitLegacy(_ writer: inout CodeWriter) {
    let mandatory = instruction.mandatoryPrefix
    if instruction.operandSize == 2 && mandatory != 0x66 { writer.byte(0x66) }
    if mandatory != 0 { writer.byte(mandatory) }
    if instruction.prefixes.contains(.lock) && pointer != nil { writer.byte(0xf0) }
    let low = hasLowRegister
    var rex: UInt8 = instruction.wide ? 8 : 0
    if instruction.hasModRM { rex |= CodeWriter.extensionBits(registerField, operandField) }
    if low { rex |= lowField >> 3 }
    if rex != 0 || needsREX { writer.byte(0x40 | rex) }
    switch instruction.map {
    case .oneByte: break
    case .twoByte: writer.byte(0x0f)
    case .threeByte38: writer.bytes(0x0f, 0x38)
    case .threeByte3A: writer.bytes(0x0f, 0x3a)
    }
    if instruction.map == .oneByte && instruction.opcode & 0xf0 == 0x40 {
      // INC and DEC of one byte are REX prefixes here; their longer forms are not.
      writer.bytes(0xff, 0xc0 | instruction.opcode & 8 | lowField & 7)
    } else if instruction.map == .oneByte && instruction.opcode == 0x82 {
      writer.byte(0x80)  // the same outside 64-bit mode
    } else {
      writer.byte(low ? instruction.opcode & 0xf8 | lowField & 7 : instruction.opcode)
    }
    if instruction.hasModRM { writer.modRM(registerField, operandField) }
    writer.immediate(instruction.immediate, bytes: instruction.immediateSize)
  }

  /// The immediate, with the register that its high nibble may name.
  private var vexImmediate: Int64 {
    for position in 0..<Int(instruction.operandCount)
    where instruction.operands[position].place == .immediateHigh {
      return instruction.immediate & 15 | Int64(instruction.operands[position].number) << 4
    }
    return instruction.immediate
  }

  private func emitVEX(_ writer: inout CodeWriter) {
    let bits = CodeWriter.extensionBits(registerField, operandField)
    let map: UInt8 =
      switch instruction.map {
      case .oneByte, .twoByte: 1
      case .threeByte38: 2
      case .threeByte3A: 3
      }
    let prefix: UInt8 =
      switch instruction.mandatoryPrefix {
      case 0x66: 1
      case 0xf3: 2
      case 0xf2: 3
      default: 0
      }
    let wide: UInt8 = instruction.wide ? 0x80 : 0
    let long: UInt8 = instruction.vectorLong ? 4 : 0
    writer.bytes(0xc4, (~(bits << 5)) & 0xe0 | map)
    writer.byte(wide | ((~vexField & 15) << 3) | long | prefix)
    writer.byte(instruction.opcode)
    if instruction.hasModRM { writer.modRM(registerField, operandField) }
    writer.immediate(vexImmediate, bytes: instruction.immediateSize)
  }
}
