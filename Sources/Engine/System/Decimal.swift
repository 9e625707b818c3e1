internal import X86

/// The flags as LAHF leaves them, in the high byte of ``CPUState/savedFlags``; overflow below.
struct SavedFlags {
  var rawValue: UInt16
  static let carry: UInt16 = 0x0100
  static let parity: UInt16 = 0x0400
  static let auxiliary: UInt16 = 0x1000
  static let zero: UInt16 = 0x4000
  static let sign: UInt16 = 0x8000
  static let overflow: UInt16 = 0x0001

  subscript(flag: UInt16) -> Bool {
    get { rawValue & flag != 0 }
    set { rawValue = newValue ? rawValue | flag : rawValue & ~flag }
  }

  /// SF, ZF and PF of a byte.
  mutating func setResult(_ value: UInt8) {
    self[SavedFlags.zero] = value == 0
    self[SavedFlags.sign] = value & 0x80 != 0
    self[SavedFlags.parity] = value.nonzeroBitCount & 1 == 0
  }

  /// All six flags of `left - right`, `size` bytes wide.
  static func comparing(_ left: UInt64, _ right: UInt64, size: Int) -> UInt16 {
    let bits = mask(bytes: UInt8(size))
    let sign = UInt64(1) &<< UInt64(8 &* size &- 1)
    let (left, right) = (left & bits, right & bits)
    let result = (left &- right) & bits
    var flags = SavedFlags(rawValue: 0x0200)
    flags[carry] = left < right
    flags[zero] = result == 0
    flags[SavedFlags.sign] = result & sign != 0
    flags[parity] = UInt8(truncatingIfNeeded: result).nonzeroBitCount & 1 == 0
    flags[auxiliary] = (left ^ right ^ result) & 0x10 != 0
    flags[overflow] = (left ^ right) & (left ^ result) & sign != 0
    return flags.rawValue
  }
}

/// Decimal arithmetic, which 64-bit mode lacks. Flags that the manual leaves undefined are as
/// processors set them: by the result, overflow clear.
extension Processor {
  func decimal(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let operand = UInt8(truncatingIfNeeded: instruction.immediate)
    switch instruction.opcode {
    case 0x27: adjustPacked(subtracting: false)
    case 0x2f: adjustPacked(subtracting: true)
    case 0x37: adjustUnpacked(subtracting: false)
    case 0x3f: adjustUnpacked(subtracting: true)
    case 0xd4:
      guard operand != 0 else { throw GuestFault(.divideError) }
      let value = UInt8(truncatingIfNeeded: cpu.registers[0])
      setAccumulator(low: value % operand, high: value / operand)
      setProductFlags(value % operand)
    case 0xd5:
      let high = UInt8(truncatingIfNeeded: cpu.registers[0] &>> 8)
      let value = UInt8(truncatingIfNeeded: cpu.registers[0]) &+ high &* operand
      setAccumulator(low: value, high: 0)
      setProductFlags(value)
    default:  // SALC
      setRegister(0, size: 1, cpu.savedFlags & SavedFlags.carry != 0 ? 0xff : 0)
    }
    return .next
  }

  private func setAccumulator(low: UInt8, high: UInt8) {
    setRegister(0, size: 2, UInt64(high) << 8 | UInt64(low))
  }

  private func setProductFlags(_ value: UInt8) {
    var flags = SavedFlags(rawValue: 0x0200)
    flags.setResult(value)
    cpu.savedFlags = flags.rawValue
  }

  /// DAA and DAS.
  private func adjustPacked(subtracting: Bool) {
    let before = UInt8(truncatingIfNeeded: cpu.registers[0])
    let old = SavedFlags(rawValue: cpu.savedFlags)
    var flags = SavedFlags(rawValue: 0x0200)
    var value = before
    var carries = false
    if before & 0xf > 9 || old[SavedFlags.auxiliary] {
      let wraps = subtracting ? before < 6 : before > 0xf9
      carries = old[SavedFlags.carry] || wraps
      value = subtracting ? value &- 6 : value &+ 6
      flags[SavedFlags.auxiliary] = true
    }
    if before > 0x99 || old[SavedFlags.carry] {
      value = subtracting ? value &- 0x60 : value &+ 0x60
      carries = true
    } else if !subtracting {
      carries = false
    }
    flags[SavedFlags.carry] = carries
    flags.setResult(value)
    setRegister(0, size: 1, UInt64(value))
    cpu.savedFlags = flags.rawValue
  }

  /// AAA and AAS.
  private func adjustUnpacked(subtracting: Bool) {
    let before = UInt16(truncatingIfNeeded: cpu.registers[0])
    var flags = SavedFlags(rawValue: cpu.savedFlags)
    let adjusts = before & 0xf > 9 || flags[SavedFlags.auxiliary]
    var value = before
    if adjusts {
      value = subtracting ? (value &- 6) &- 0x100 : value &+ 0x106
    }
    flags = SavedFlags(rawValue: 0x0200)
    flags[SavedFlags.auxiliary] = adjusts
    flags[SavedFlags.carry] = adjusts
    flags.setResult(UInt8(truncatingIfNeeded: value & 0xf))
    setRegister(0, size: 2, UInt64(value & 0xff0f))
    cpu.savedFlags = flags.rawValue
  }
}
