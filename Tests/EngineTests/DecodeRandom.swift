import Engine
import SeededRandom

/// Random code, denser in instructions than random bytes are: every opcode of every map is as
/// likely, prefixes are as frequent as the maps that need them.
struct RandomCode {
  var generator: SeededGenerator

  /// Sixteen bytes that start with something like an instruction.
  mutating func next(_ codeSize: CodeSize) -> [UInt8] {
    var bytes: [UInt8] = []
    let choice = generator.next()
    let opcode = UInt8(truncatingIfNeeded: choice >> 56)
    // Now and then so many prefixes that the whole may be too long.
    let limit = chance(64) ? 13 : 3
    while bytes.count < limit, limit > 3 || chance(3) {
      bytes.append([0x66, 0xf2, 0xf3, 0x66, 0xf3, 0x67, 0xf0, 0x2e, 0x64, 0x36][Int(below(10))])
    }
    let vex = choice & 7 >= 6
    if vex, chance(40) {
      bytes.append(0x48)
    } else if vex {
      bytes = bytes.filter { $0 & 0xfe == 0x64 }
    }
    if !vex, codeSize == .bits64, chance(2) { bytes.append(0x40 | UInt8(below(16))) }
    switch choice & 7 {
    case 0, 1: bytes.append(opcode)
    case 2, 3: bytes += [0x0f, opcode]
    case 4: bytes += [0x0f, 0x38, opcode]
    case 5: bytes += [0x0f, 0x3a, opcode]
    case 6: bytes += [0xc5, vexLow() | UInt8(below(2)) << 7, opcode]
    default: bytes += [0xc4, UInt8(below(8)) << 5 | 1 + UInt8(below(3)), vexLow() | wide(), opcode]
    }
    while bytes.count < 24 { bytes.append(UInt8(truncatingIfNeeded: generator.next())) }
    return bytes
  }

  /// vvvv, L and pp; vvvv is often unused.
  private mutating func vexLow() -> UInt8 {
    let register: UInt8 = chance(2) ? 15 : UInt8(below(16))
    return register << 3 | UInt8(below(8))
  }
  private mutating func wide() -> UInt8 { chance(2) ? 0x80 : 0 }
  private mutating func below(_ limit: UInt64) -> UInt64 { generator.next() % limit }
  private mutating func chance(_ odds: UInt64) -> Bool { below(odds) == 0 }
}
