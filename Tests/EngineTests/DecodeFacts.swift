import CZydis
import Engine

/// What two decoders must agree on about an instruction.
struct DecodeFacts: Equatable {
  /// One register, packed: kind, number, size and access.
  struct Register: Equatable, Comparable, CustomStringConvertible {
    enum Kind: UInt8 { case general, high, vector, mmx, x87, segment, control, debug }
    var kind: Kind
    var number: UInt8
    var size: UInt16
    var access: Access

    private var key: (UInt8, UInt8, UInt16, UInt8) {
      (kind.rawValue, number, size, access.rawValue)
    }
    static func < (a: Self, b: Self) -> Bool { a.key < b.key }
    var description: String { "\(kind)\(number):\(size):\(access.letters)" }
  }

  struct Memory: Equatable {
    var base = Instruction.noRegister
    var index = Instruction.noRegister
    var scale: UInt8 = 0
    var segment: UInt8 = 3
    var displacement: Int64 = 0
    var size: UInt16 = 0
    var access: Access = []
  }

  /// An immediate as encoded: its bytes and its bits.
  struct Immediate: Equatable {
    var size: UInt8 = 0
    var bits: UInt64 = 0
  }

  var valid = false
  var length = 0
  var registers: [Register] = []
  var memory: Memory?
  var read: ArithmeticFlags = []
  var written: ArithmeticFlags = []
  var immediate = Immediate()
  var secondImmediate: UInt64 = 0
  /// Effective sizes in bytes; no operand size where the opcode has its own.
  var operandSize: UInt8 = 0
  var addressSize: UInt8 = 0
}

extension Access {
  var letters: String { (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") }
}

extension Instruction {
  /// Whether the implied registers are to be compared; elsewhere the operation says what they are.
  var listsImpliedRegisters: Bool { operation == .plain || operation == .shiftByCount }

  var facts: DecodeFacts {
    guard operation != .undefined else { return DecodeFacts() }
    var facts = DecodeFacts(valid: true, length: Int(length))
    for number in 0..<Int(operandCount) {
      if let register = register(operands[number]) { facts.registers.append(register) }
    }
    facts.registers.sort()
    if hasMemory {
      facts.memory = DecodeFacts.Memory(
        base: base, index: index, scale: index == Self.noRegister ? 0 : scaleShift,
        segment: segment, displacement: displacement, size: memorySize, access: memoryAccess)
    }
    facts.read = flagsRead
    facts.written = flagsWritten.union(flagsMaybeWritten)
    let mask: UInt64 = immediateSize == 8 ? .max : 1 << (UInt64(immediateSize) * 8) - 1
    facts.immediate = DecodeFacts.Immediate(
      size: immediateSize, bits: UInt64(bitPattern: immediate) & mask)
    facts.secondImmediate = UInt64(secondImmediate)
    facts.operandSize = operandSize
    facts.addressSize = addressSize
    return facts
  }

  private func register(_ operand: Operand) -> DecodeFacts.Register? {
    if operand.place == .implicit, !listsImpliedRegisters { return nil }
    let kind: DecodeFacts.Register.Kind
    switch operand.kind {
    case .general: kind = .general
    case .highByte: kind = .high
    case .vector where operand.place != .implicit: kind = .vector
    case .mmx: kind = .mmx
    case .segment: kind = .segment
    case .control: kind = .control
    case .debug: kind = .debug
    default: return nil
    }
    // Vector state is the host's own: only which register matters.
    let isGeneral = kind != .vector && kind != .mmx
    return DecodeFacts.Register(
      kind: kind, number: operand.number, size: isGeneral ? UInt16(operand.size) : 0,
      access: isGeneral ? operand.access : [])
  }
}

/// Zydis with its decoder set up for one code size.
struct Zydis {
  private var decoder = ZydisDecoder()
  private(set) var instruction = ZydisDecodedInstruction()
  private var operands = [ZydisDecodedOperand](repeating: ZydisDecodedOperand(), count: 10)

  init(_ codeSize: CodeSize) {
    switch codeSize {
    case .bits16:
      ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16)
    case .bits32:
      ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32)
    case .bits64: ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)
    }
    // Not offered: their encodings are NOPs.
    for mode in [ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CLDEMOTE] {
      ZydisDecoderEnableMode(&decoder, mode, 0)
    }
  }

  var mnemonic: String { String(cString: ZydisMnemonicGetString(instruction.mnemonic)) }
  var extensionName: String { String(cString: ZydisISAExtGetString(instruction.meta.isa_ext)) }

  /// What Zydis says; `implied` asks for the registers that the encoding does not name.
  mutating func decode(_ bytes: UnsafeRawBufferPointer, implied: Bool) -> DecodeFacts {
    var facts = DecodeFacts()
    let status = ZydisDecoderDecodeFull(
      &decoder, bytes.baseAddress, bytes.count, &instruction, &operands)
    guard status & 0x8000_0000 == 0 else { return facts }
    facts.valid = true
    facts.length = Int(instruction.length)
    for operand in operands.prefix(Int(instruction.operand_count)) {
      let named = operand.encoding != ZYDIS_OPERAND_ENCODING_NONE
      if operand.type == ZYDIS_OPERAND_TYPE_REGISTER, named || implied {
        if let register = register(operand, named) { facts.registers.append(register) }
      } else if operand.type == ZYDIS_OPERAND_TYPE_MEMORY, named {
        facts.memory = memory(operand)
      }
    }
    facts.registers.sort()
    let (first, second) = instruction.raw.imm
    facts.immediate = DecodeFacts.Immediate(
      size: first.size / 8,
      bits: first.value.u & (first.size == 64 ? .max : 1 << UInt64(first.size) - 1))
    facts.secondImmediate = second.value.u & 0xffff
    facts.operandSize = instruction.operand_width / 8
    facts.addressSize = instruction.address_width / 8
    if let flags = instruction.cpu_flags?.pointee {
      facts.read = ArithmeticFlags(rawValue: UInt16(flags.tested & 0x8d5))
      let written = flags.modified | flags.set_0 | flags.set_1 | flags.undefined
      facts.written = ArithmeticFlags(rawValue: UInt16(written & 0x8d5))
    }
    return facts
  }

  private func access(_ operand: ZydisDecodedOperand) -> Access {
    var access: Access = []
    if operand.actions & 5 != 0 { access.insert(.read) }
    if operand.actions & 10 != 0 { access.insert(.write) }
    return access
  }

  private func register(
    _ operand: ZydisDecodedOperand, _ named: Bool
  ) -> DecodeFacts.Register? {
    var kind: DecodeFacts.Register.Kind
    var number = UInt8(truncatingIfNeeded: ZydisRegisterGetId(operand.reg.value))
    var isGeneral = true
    switch ZydisRegisterGetClass(operand.reg.value) {
    case ZYDIS_REGCLASS_GPR8:
      kind = .general
      let high = operand.reg.value.rawValue &- ZYDIS_REGISTER_AH.rawValue
      if high < 4 {
        kind = .high
        number = UInt8(high)
      } else if number >= 8 {
        // Zydis counts AH to BH among the low bytes.
        number -= 4
      }
    case ZYDIS_REGCLASS_GPR16, ZYDIS_REGCLASS_GPR32, ZYDIS_REGCLASS_GPR64: kind = .general
    case ZYDIS_REGCLASS_XMM, ZYDIS_REGCLASS_YMM:
      guard named else { return nil }
      kind = .vector
      isGeneral = false
    case ZYDIS_REGCLASS_MMX:
      kind = .mmx
      isGeneral = false
    case ZYDIS_REGCLASS_SEGMENT: kind = .segment
    case ZYDIS_REGCLASS_CONTROL: kind = .control
    case ZYDIS_REGCLASS_DEBUG: kind = .debug
    default: return nil
    }
    var access = access(operand)
    // A register that may stay as it is must be known before.
    if operand.actions & 8 != 0 { access.insert(.read) }
    return DecodeFacts.Register(
      kind: kind, number: number, size: isGeneral ? operand.size / 8 : 0,
      access: isGeneral ? access : [])
  }

  private func memory(_ operand: ZydisDecodedOperand) -> DecodeFacts.Memory {
    func number(_ register: ZydisRegister) -> UInt8 {
      if register == ZYDIS_REGISTER_NONE { return Instruction.noRegister }
      if ZydisRegisterGetClass(register) == ZYDIS_REGCLASS_IP {
        return Instruction.instructionPointer
      }
      return UInt8(truncatingIfNeeded: ZydisRegisterGetId(register))
    }
    let memory = operand.mem
    return DecodeFacts.Memory(
      base: number(memory.base), index: number(memory.index),
      scale: UInt8(max(1, memory.scale).trailingZeroBitCount), segment: number(memory.segment),
      displacement: memory.disp.value, size: operand.size / 8,
      access: memory.type == ZYDIS_MEMOP_TYPE_AGEN ? [] : access(operand))
  }
}
