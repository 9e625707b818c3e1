// Prefixes and opcode
extension Decoding {
  /// Reads prefixes; false where they alone are too long.
  @inline(__always)
  mutating func readPrefixes() -> Bool {
    while true {
      let byte = byte(at: position)
      let kind = tables.prefix(byte, mode64: mode64)
      guard kind != 0 else { return true }
      position &+= 1
      if kind == Prefixes.rex.rawValue {
        // Counts only where the opcode follows.
        let next = tables.prefix(self.byte(at: position), mode64: mode64)
        if next == 0 {
          prefixes.insert(.rex)
          extensions = byte & 15
        }
      } else {
        prefixes.insert(Prefixes(rawValue: kind))
        if kind >= Prefixes.repeatNotEqual.rawValue { notePrefix(byte) }
      }
      guard position < 15 else {
        position = 16
        return false
      }
    }
  }

  /// Takes F2, F3 or a segment override; in 64-bit mode only FS and GS override.
  mutating func notePrefix(_ byte: UInt8) {
    switch byte {
    case 0xf2, 0xf3: repeatByte = byte
    case 0x64: segmentOverride = 4
    case 0x65: segmentOverride = 5
    default: if !mode64 { segmentOverride = (byte >> 3) & 3 }
    }
  }

  /// Reads opcode bytes or a VEX prefix; false where nothing can be found in the tables.
  @inline(__always)
  mutating func readOpcode() -> Bool {
    opcode = nextByte()
    switch opcode {
    case 0x0f: readEscapedOpcode()
    case 0xc4, 0xc5:
      if mode64 || byte(at: position) >= 0xc0 { return readVEX() }
    case 0x62:
      if mode64 || byte(at: position) >= 0xc0 { return false }
    default: break
    }
    switch repeatByte {
    case 0xf3: prefixClass = UInt32(PrefixClass.pF3.rawValue)
    case 0xf2: prefixClass = UInt32(PrefixClass.pF2.rawValue)
    default:
      prefixClass = UInt32((prefixes.contains(.operandSize) ? PrefixClass.p66 : .none).rawValue)
    }
    return true
  }

  mutating func readEscapedOpcode() {
    map = .twoByte
    opcode = nextByte()
    guard opcode == 0x38 || opcode == 0x3a else { return }
    map = opcode == 0x38 ? .threeByte38 : .threeByte3A
    opcode = nextByte()
  }

  /// Reads the rest of a two- or three-byte VEX prefix and the opcode.
  mutating func readVEX() -> Bool {
    let forbidden: Prefixes = [.operandSize, .lock, .repeatNotEqual, .repeated, .rex]
    let first = nextByte()
    var last = first
    extensions = (~first >> 5) & 4
    map = .twoByte
    if opcode == 0xc4 {
      last = nextByte()
      extensions = (~first >> 5) & 7 | (last >> 4) & 8
      guard let selected = OpcodeMap(rawValue: first & 0x1f), selected != .oneByte else {
        return false
      }
      map = selected
    }
    // Outside 64-bit mode there are eight registers, and B is ignored.
    if !mode64 { extensions &= 8 }
    encoding = .vex
    vectorLong = last & 4 != 0
    vexRegister = (~last >> 3) & 15
    let classes: [4 of UInt8] = [1, 2, 4, 8]
    prefixClass = UInt32(classes[Int(last & 3)])
    opcode = nextByte()
    return prefixes.isDisjoint(with: forbidden)
  }

  /// log2 of the address size, less one.
  var addressSizeIndex: Int {
    let override = prefixes.contains(.addressSize)
    switch codeSize {
    case .bits64: return override ? 1 : 2
    case .bits32: return override ? 0 : 1
    case .bits16: return override ? 1 : 0
    }
  }

  /// The number of the first row that applies, or 0.
  @inline(__always)
  func findRow(_ head: OpcodeHead, address16: Bool) -> Int {
    var key = prefixClass << MatchKey.prefixShift
    key |= UInt32(modRM & 0x3f)
    let register = modRM >= 0xc0
    if register { key |= MatchKey.registerMode }
    if mode64 { key |= MatchKey.mode64 }
    key |= UInt32(extensions & 8) << 5 | UInt32(extensions & 1) << 10
    if encoding == .vex {
      if vectorLong { key |= MatchKey.vectorLong }
      if vexRegister != 0 { key |= MatchKey.vexRegister }
    }
    if address16 { key |= MatchKey.address16 }
    if prefixes.contains(.lock) {
      key |= MatchKey.lock
      if register || !head.hasModRM { key |= MatchKey.lockWithoutMemory }
    }
    var number = Int(head.first)
    let end = number &+ Int(head.count)
    while number < end {
      let row = unsafe tables.row(number)
      if unsafe key & row.pointee.mask == row.pointee.value {
        let feature = unsafe vectorLong ? row.pointee.longFeature : row.pointee.feature
        if features.isSuperset(of: feature) { return number }
      }
      number &+= 1
    }
    return 0
  }
}
