/// Text of instructions in Intel's syntax, for traces and messages.
package enum Disassembler {
  /// The instruction as text; `address` is where it stands, for the targets of branches.
  package static func text(_ instruction: Instruction, at address: UInt64) -> String {
    let row = OpcodeTables.rows[Int(instruction.row)]
    var operands: [String] = []
    for number in 0..<Int(instruction.operandCount) where !row.operands[number].isHidden {
      operands.append(
        operand(instruction.operands[number], row.operands[number], of: instruction, at: address))
    }
    if row.hasTrailingByte { operands.append(hexadecimal(instruction.immediate & 0xff)) }
    let mnemonic = prefix(of: instruction) + name(of: instruction, row)
    return operands.isEmpty ? mnemonic : mnemonic + " " + operands.joined(separator: ", ")
  }

  /// The mnemonic, chosen by size or completed by the condition.
  package static func name(of instruction: Instruction, _ row: OpcodeRow) -> String {
    let forms = row.name.description.split(separator: "/")
    // JCXZ goes by the address size, everything else by the operand size.
    let size =
      instruction.operation == .jumpCounter ? instruction.addressSize : instruction.operandSize
    let name = String(forms[min(forms.count - 1, size.trailingZeroBitCount - 1)])
    if row.conditional { return name + conditions[Int(instruction.opcode & 15)] }
    return instruction.isVEX && instruction.unit == .avx ? "v" + name : name
  }

  private static let conditions = [
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
  ]

  private static func prefix(of instruction: Instruction) -> String {
    if instruction.prefixes.contains(.lock) { return "lock " }
    switch instruction.operation {
    case .compareString, .scanString:
      if instruction.prefixes.contains(.repeatNotEqual) { return "repne " }
      return instruction.prefixes.contains(.repeated) ? "repe " : ""
    case .moveString, .storeString, .loadString, .inputString, .outputString:
      let repeats: Prefixes = [.repeated, .repeatNotEqual]
      return instruction.prefixes.isDisjoint(with: repeats) ? "" : "rep "
    default: return ""
    }
  }

  private static func operand(
    _ operand: Operand, _ form: OperandForm, of instruction: Instruction, at address: UInt64
  ) -> String {
    switch operand.kind {
    case .none: ""
    case .general: general(operand.number, operand.size)
    case .highByte: ["ah", "ch", "dh", "bh"][Int(operand.number & 3)]
    case .vector: (operand.size == 32 ? "ymm" : "xmm") + "\(operand.number)"
    case .mmx: "mm\(operand.number)"
    case .x87: "st\(operand.number)"
    case .segment: segments[Int(operand.number & 7)]
    case .control: "cr\(operand.number)"
    case .debug: "dr\(operand.number)"
    case .memory: memory(instruction)
    case .relative: target(of: instruction, at: address)
    case .immediate: immediate(operand, form, of: instruction)
    }
  }

  private static func immediate(
    _ operand: Operand, _ form: OperandForm, of instruction: Instruction
  ) -> String {
    if form.place == .implicit { return "1" }
    if form.size == .p {
      let offset = hexadecimal(instruction.immediate & 0xffff_ffff)
      return hexadecimal(Int64(instruction.secondImmediate)) + ":" + offset
    }
    if instruction.operation == .enter, form.size == .b1 {
      return hexadecimal(Int64(instruction.secondImmediate))
    }
    // What is sign-extended is printed with its sign: 4 bytes, and one for ADD and its kind.
    let isExtended =
      instruction.immediateSize == 4 && instruction.operandSize == 8
      || instruction.map == .oneByte && [0x6a, 0x6b, 0x83].contains(instruction.opcode)
    if isExtended || instruction.immediateSize == 8 { return hexadecimal(instruction.immediate) }
    return hexadecimal(instruction.immediate & (1 << (Int64(instruction.immediateSize) * 8) - 1))
  }

  /// Where a branch goes, cut to the operand size.
  private static func target(of instruction: Instruction, at address: UInt64) -> String {
    let next = address &+ UInt64(instruction.length)
    let target = next &+ UInt64(bitPattern: instruction.immediate)
    switch instruction.operandSize {
    case 2: return "0x" + String(target & 0xffff, radix: 16)
    case 4: return "0x" + String(target & 0xffff_ffff, radix: 16)
    default: return "0x" + String(target, radix: 16)
    }
  }

  private static func hexadecimal(_ value: Int64) -> String {
    (value < 0 ? "-0x" : "0x") + String(value.magnitude, radix: 16)
  }
}

// Registers and memory
extension Disassembler {
  private static let segments = ["es", "cs", "ss", "ds", "fs", "gs", "?", "?"]
  private static let words = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
  private static let bytes = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"]

  /// The name of a general register used to a size in bytes.
  package static func general(_ number: UInt8, _ size: UInt8) -> String {
    if number > 7 {
      let suffixes: [UInt8: String] = [1: "b", 2: "w", 4: "d"]
      return "r\(number)" + (suffixes[size] ?? "")
    }
    switch size {
    case 1: return bytes[Int(number)]
    case 2: return words[Int(number)]
    case 4: return "e" + words[Int(number)]
    default: return "r" + words[Int(number)]
    }
  }

  private static func memory(_ instruction: Instruction) -> String {
    let sizes: [UInt16: String] = [
      1: "byte ", 2: "word ", 4: "dword ", 6: "fword ", 8: "qword ", 10: "tbyte ",
      16: "xmmword ", 32: "ymmword ",
    ]
    var terms: [String] = []
    let isRelative = instruction.base == Instruction.instructionPointer
    if isRelative {
      terms.append(instruction.addressSize == 8 ? "rip" : "eip")
    } else if instruction.base != Instruction.noRegister {
      terms.append(general(instruction.base, instruction.addressSize))
    }
    if instruction.index != Instruction.noRegister {
      let name =
        instruction.operation == .gather
        ? (instruction.vectorLong ? "ymm" : "xmm") + "\(instruction.index)"
        : general(instruction.index, instruction.addressSize)
      terms.append(instruction.scaleShift == 0 ? name : "\(name)*\(1 << instruction.scaleShift)")
    }
    var text = terms.joined(separator: "+")
    if terms.isEmpty {
      let mask: Int64 =
        instruction.addressSize == 8 ? -1 : 1 << (Int64(instruction.addressSize) * 8) - 1
      text = "0x" + String(UInt64(bitPattern: instruction.displacement & mask), radix: 16)
    } else if instruction.displacement != 0 {
      let displacement = hexadecimal(instruction.displacement)
      text += instruction.displacement < 0 ? displacement : "+" + displacement
    }
    let size = sizes[instruction.memorySize] ?? ""
    return size + override(instruction) + "[" + text + "]"
  }

  /// The segment where it is not the default one.
  private static func override(_ instruction: Instruction) -> String {
    let usesStack = instruction.base == 4 || instruction.base == 5
    guard instruction.segment != (usesStack ? 2 : 3) else { return "" }
    return segments[Int(instruction.segment & 7)] + ":"
  }
}
