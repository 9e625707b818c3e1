/// Decodes the instruction that `bytes` start with.
///
/// - `bytes` are those at hand, at least one; 32 of them are faster than fewer.
/// - `features` are what the guest's CPUID offers; the rest is undefined.
/// - `instruction` is complete where the result is `.decoded`, else meaningless.
package func decode(
  _ bytes: RawSpan, codeSize: CodeSize, features: FeatureSet, into instruction: inout Instruction
) -> DecodeResult {
  // A copy: the guest's other processors may be writing to the page.
  var copy = SIMD32<UInt8>()
  let available = bytes.byteCount
  if available >= 32 {
    copy = unsafe bytes.unsafeLoadUnaligned(as: SIMD32<UInt8>.self)
  } else {
    for index in 0..<available {
      copy[index] = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
    }
  }
  instruction = Instruction()
  return unsafe withUnsafeBytes(of: &copy) { code in
    guard let start = code.baseAddress else { return .needsMoreBytes }
    var decoding = unsafe Decoding(code: start, codeSize: codeSize, features: features)
    decoding.run(&instruction)
    let length = decoding.position
    if length > available, available < 15 { return .needsMoreBytes }
    if length > 15 { return .tooLong }
    instruction.length = UInt8(truncatingIfNeeded: length)
    return .decoded
  }
}

/// The state of decoding one instruction.
@safe struct Decoding {
  /// 32 bytes, zeros beyond those at hand.
  let code: UnsafeRawPointer
  let tables = DecodeTables.shared
  let features: FeatureSet
  let codeSize: CodeSize
  var position = 0

  var prefixes: Prefixes = []
  /// The last of F2 and F3, or 0.
  var repeatByte: UInt8 = 0
  var segmentOverride = Instruction.noRegister
  /// W, R, X and B of REX or VEX, in REX's order; 0 without.
  var extensions: UInt8 = 0
  var encoding: Encoding = .legacy
  var map: OpcodeMap = .oneByte
  var opcode: UInt8 = 0
  var vectorLong = false
  var vexRegister: UInt8 = 0
  var prefixClass: UInt32 = 1
  var modRM: UInt8 = 0

  init(code: UnsafeRawPointer, codeSize: CodeSize, features: FeatureSet) {
    unsafe self.code = code
    self.codeSize = codeSize
    self.features = features.union(.always)
  }

  var mode64: Bool { codeSize == .bits64 }

  @inline(__always) func byte(at offset: Int) -> UInt8 {
    unsafe code.load(fromByteOffset: offset, as: UInt8.self)
  }

  @inline(__always) mutating func nextByte() -> UInt8 {
    defer { position &+= 1 }
    return byte(at: position)
  }

  /// The little-endian number of 0, 1, 2, 4 or 8 bytes that follows, sign-extended.
  @inline(__always) mutating func nextSigned(_ size: UInt8) -> Int64 {
    let at = position
    position &+= Int(size)
    switch size {
    case 1: return Int64(unsafe code.load(fromByteOffset: at, as: Int8.self))
    case 2: return Int64(unsafe code.loadUnaligned(fromByteOffset: at, as: Int16.self))
    case 4: return Int64(unsafe code.loadUnaligned(fromByteOffset: at, as: Int32.self))
    case 8: return unsafe code.loadUnaligned(fromByteOffset: at, as: Int64.self)
    default: return 0
    }
  }

  /// Fills in `instruction`; `position` is its length afterwards, more than 15 if too long.
  @inline(__always)
  mutating func run(_ instruction: inout Instruction) {
    guard readPrefixes(), readOpcode() else { return finishUndefined(&instruction) }
    instruction.prefixes = prefixes
    instruction.map = map
    instruction.opcode = opcode
    instruction.isVEX = encoding == .vex
    instruction.wide = extensions & 8 != 0
    instruction.vectorLong = vectorLong
    let addressIndex = addressSizeIndex
    instruction.addressSize = 2 << UInt8(addressIndex)
    if segmentOverride != Instruction.noRegister { instruction.segment = segmentOverride }

    let head = tables.head(DecodeTables.headIndex(encoding, map, opcode))
    if head.hasModRM {
      modRM = nextByte()
      instruction.hasModRM = true
      instruction.modRM = modRM
    }
    let number = findRow(head, address16: addressIndex == 0)
    let row = unsafe tables.row(number)
    if head.hasModRM, modRM < 0xc0, unsafe !row.pointee.traits.contains(.registerAlways) {
      readMemory(&instruction, vectorIndex: unsafe row.pointee.check == .gather)
    }
    guard number != 0 else { return }
    unsafe fill(&instruction, number, row)
  }

  /// Leaves only what is known of an encoding that is no instruction.
  func finishUndefined(_ instruction: inout Instruction) {
    instruction.prefixes = prefixes
    instruction.map = map
    instruction.opcode = opcode
  }
}
