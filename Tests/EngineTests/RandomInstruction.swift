import Engine

/// Random encodings of a given row of the opcode tables.
enum RandomInstruction {
  /// What the ModRM operand is to be.
  enum Form { case register, memory, any }

  /// A valid encoding of row `number` and what our decoder makes of it; nil where the row has no
  /// such form, does not exist at this code size, or `attempts` were not enough.
  static func encode(
    row number: Int, codeSize: CodeSize, form: Form = .any,
    using generator: inout some RandomNumberGenerator, attempts: Int = 64
  ) -> (bytes: [UInt8], instruction: Instruction)? {
    let row = OpcodeTables.rows[number]
    guard number != 0, suits(row, codeSize, form) else { return nil }
    for _ in 0..<attempts {
      var bytes = prefixes(row, codeSize, &generator)
      bytes += opcode(row, codeSize, &generator)
      if row.hasModRM { bytes.append(modRM(row, form, &generator)) }
      // SIB byte, displacement and immediates: any bytes will do.
      let known = bytes.count
      for _ in 0..<14 { bytes.append(.random(in: 0...255, using: &generator)) }
      var instruction = Instruction()
      let result = decode(
        bytes.span.bytes, codeSize: codeSize, features: .all, into: &instruction)
      guard result == .decoded, instruction.row == number, instruction.length >= known else {
        continue
      }
      return (Array(bytes.prefix(Int(instruction.length))), instruction)
    }
    return nil
  }

  private static func suits(_ row: OpcodeRow, _ codeSize: CodeSize, _ form: Form) -> Bool {
    if row.mode64 == (codeSize == .bits64 ? .zero : .one) { return false }
    switch form {
    case .any: return true
    case .memory: return row.hasModRM && row.mode != .register && !row.registerAlways
    case .register: return row.mode != .memory
    }
  }

  private static func prefixes(
    _ row: OpcodeRow, _ codeSize: CodeSize, _ generator: inout some RandomNumberGenerator
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    func chance(_ odds: Int) -> Bool { Int.random(in: 0..<odds, using: &generator) == 0 }
    if chance(16) { bytes.append(0x67) }
    guard row.encoding == .legacy else { return bytes }
    let takesSize =
      row.prefixes.contains([.none, .p66]) || row.prefixes == .pF3 || row.prefixes == .pF2
    if row.prefixes == .p66 || takesSize && row.sizing != .ignores66 && chance(4) {
      bytes.append(0x66)
    }
    if row.prefixes == .pF3 { bytes.append(0xf3) }
    if row.prefixes == .pF2 { bytes.append(0xf2) }
    guard codeSize == .bits64 else { return bytes }
    var rex: UInt8 = .random(in: 0...15, using: &generator)
    if row.wide == .zero || row.wide == .any && chance(2) { rex &= 7 }
    if row.wide == .one { rex |= 8 }
    if row.extendedBase == .zero { rex &= 14 }
    if rex & 8 != 0 || chance(2) { bytes.append(0x40 | rex) }
    return bytes
  }

  /// The opcode with its escape bytes, or with a VEX prefix.
  private static func opcode(
    _ row: OpcodeRow, _ codeSize: CodeSize, _ generator: inout some RandomNumberGenerator
  ) -> [UInt8] {
    guard row.encoding == .vex else {
      switch row.map {
      case .oneByte: return [row.opcode]
      case .twoByte: return [0x0f, row.opcode]
      case .threeByte38: return [0x0f, 0x38, row.opcode]
      case .threeByte3A: return [0x0f, 0x3a, row.opcode]
      }
    }
    let names = (0..<Int(row.operandCount)).contains { row.operands[$0].place == .vexRegister }
    let register: UInt8 = names ? .random(in: 0...15, using: &generator) : 15
    var low = register << 3 | UInt8(row.prefixes.rawValue.trailingZeroBitCount)
    if bit(row.vectorLong, &generator) { low |= 4 }
    let wide = bit(row.wide, &generator)
    var high: UInt8 = .random(in: 0...7, using: &generator) << 5
    if codeSize != .bits64 { high |= 0xc0 }
    if !wide, row.map == .twoByte, high & 0x60 == 0x60, Bool.random(using: &generator) {
      return [0xc5, low | high & 0x80 | (codeSize == .bits64 ? 0 : 0xc0), row.opcode]
    }
    return [0xc4, high | row.map.rawValue, low | (wide ? 0x80 : 0), row.opcode]
  }

  private static func bit(
    _ rule: BitRule, _ generator: inout some RandomNumberGenerator
  ) -> Bool {
    rule == .any ? Bool.random(using: &generator) : rule == .one
  }

  private static func modRM(
    _ row: OpcodeRow, _ form: Form, _ generator: inout some RandomNumberGenerator
  ) -> UInt8 {
    var byte: UInt8 = .random(in: 0...255, using: &generator)
    if let field = row.registerField { byte = byte & 0xc7 | field << 3 }
    if row.mode == .register || row.mode == .any && form == .register {
      byte |= 0xc0
    } else if (row.mode == .memory || form == .memory) && byte >= 0xc0 {
      byte &= UInt8.random(in: 0...2, using: &generator) << 6 | 0x3f
    }
    if let field = row.rmField { byte = byte & 0xf8 | field }
    if row.check == .gather { byte = byte & 0xf8 | 4 }
    return byte
  }
}
