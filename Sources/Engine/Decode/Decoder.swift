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
  private let code: UnsafeRawPointer
  private let tables = DecodeTables.shared
  private let features: FeatureSet
  private let codeSize: CodeSize
  private(set) var position = 0

  private var prefixes: Prefixes = []
  /// The last of F2 and F3, or 0.
  private var repeatByte: UInt8 = 0
  private var segmentOverride = Instruction.noRegister
  /// W, R, X and B of REX or VEX, in REX's order; 0 without.
  private var extensions: UInt8 = 0
  private var encoding: Encoding = .legacy
  private var map: OpcodeMap = .oneByte
  private var opcode: UInt8 = 0
  private var vectorLong = false
  private var vexRegister: UInt8 = 0
  private var prefixClass: UInt32 = 1
  private var modRM: UInt8 = 0

  init(code: UnsafeRawPointer, codeSize: CodeSize, features: FeatureSet) {
    unsafe self.code = code
    self.codeSize = codeSize
    self.features = features.union(.always)
  }

  private var mode64: Bool { codeSize == .bits64 }

  @inline(__always) private func byte(at offset: Int) -> UInt8 {
    unsafe code.load(fromByteOffset: offset, as: UInt8.self)
  }

  @inline(__always) private mutating func nextByte() -> UInt8 {
    defer { position &+= 1 }
    return byte(at: position)
  }

  /// The little-endian number of 0, 1, 2, 4 or 8 bytes that follows, sign-extended.
  @inline(__always) private mutating func nextSigned(_ size: UInt8) -> Int64 {
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
  private func finishUndefined(_ instruction: inout Instruction) {
    instruction.prefixes = prefixes
    instruction.map = map
    instruction.opcode = opcode
  }
}

// Prefixes and opcode
extension Decoding {
  /// Reads prefixes; false where they alone are too long.
  @inline(__always)
  private mutating func readPrefixes() -> Bool {
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
  private mutating func notePrefix(_ byte: UInt8) {
    switch byte {
    case 0xf2, 0xf3: repeatByte = byte
    case 0x64: segmentOverride = 4
    case 0x65: segmentOverride = 5
    default: if !mode64 { segmentOverride = (byte >> 3) & 3 }
    }
  }

  /// Reads opcode bytes or a VEX prefix; false where nothing can be found in the tables.
  @inline(__always)
  private mutating func readOpcode() -> Bool {
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

  private mutating func readEscapedOpcode() {
    map = .twoByte
    opcode = nextByte()
    guard opcode == 0x38 || opcode == 0x3a else { return }
    map = opcode == 0x38 ? .threeByte38 : .threeByte3A
    opcode = nextByte()
  }

  /// Reads the rest of a two- or three-byte VEX prefix and the opcode.
  private mutating func readVEX() -> Bool {
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
  private var addressSizeIndex: Int {
    let override = prefixes.contains(.addressSize)
    switch codeSize {
    case .bits64: return override ? 1 : 2
    case .bits32: return override ? 0 : 1
    case .bits16: return override ? 1 : 0
    }
  }

  /// The number of the first row that applies, or 0.
  @inline(__always)
  private func findRow(_ head: OpcodeHead, address16: Bool) -> Int {
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

// Memory operands
extension Decoding {
  @inline(__always)
  private mutating func readMemory(_ instruction: inout Instruction, vectorIndex: Bool) {
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
  private mutating func readMemory16(_ instruction: inout Instruction) {
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
  private func setSegment(_ instruction: inout Instruction) {
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
  private mutating func fill(
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
  }

  /// log2 of the operand size, less one.
  @inline(__always)
  private func operandSizeIndex(_ sizing: OperandSizing) -> Int {
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
  private mutating func readImmediates(
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
  private func fillOperands(
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
  private func registerNumbers(_ instruction: Instruction) -> UInt64 {
    let register = UInt64((modRM >> 3) & 7 | (extensions & 4) << 1)
    let memory = UInt64(modRM & 7 | (extensions & 1) << 3)
    let low = UInt64(opcode & 7 | (extensions & 1) << 3)
    let vex = UInt64(mode64 ? vexRegister : vexRegister & 7)
    let high = UInt64(truncatingIfNeeded: instruction.immediate >> 4) & (mode64 ? 15 : 7)
    return register << 8 | memory << 16 | vex << 24 | low << 32 | high << 40
  }

  /// Whether the registers are such as the instruction allows.
  private func passes(_ check: RowCheck, _ instruction: Instruction) -> Bool {
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

  private func adjustFlags(_ instruction: inout Instruction, _ traits: CompactRow.Traits) {
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
