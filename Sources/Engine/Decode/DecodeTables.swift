/// An operand form as the decoder reads it.
struct CompactForm: BitwiseCopyable {
  var kind: OperandKind = .none
  var place: OperandPlace = .implicit
  var access: Access = []
  /// Of an implicit register.
  var number: UInt8 = 0
  /// Which bits of a register's number count: eight MMX registers, sixteen general ones.
  var numberMask: UInt8 = 15
  var size: SizeRule = .none
  var memorySize: SizeRule = .none
}

/// A row as the decoder reads it: it applies where `key & mask == value`.
struct CompactRow: BitwiseCopyable {
  struct Traits: OptionSet, BitwiseCopyable {
    let rawValue: UInt8
    static let conditional = Traits(rawValue: 1)
    static let counted = Traits(rawValue: 2)
    static let registerAlways = Traits(rawValue: 4)
    static let repeatable = Traits(rawValue: 8)
    static let conditionalOrCounted: Traits = [.conditional, .counted, .repeatable]
  }

  var mask: UInt32 = 0
  var value: UInt32 = 0
  /// What must be offered, at 128 and at 256 bits.
  var feature: FeatureSet = []
  var longFeature: FeatureSet = []
  var flags = FlagEffect.none
  var operation: Operation = .undefined
  var mandatoryPrefix: UInt8 = 0
  var sizing: OperandSizing = .normal
  var traits: Traits = []
  var check: RowCheck = .none
  var unit: ExecutionUnit = .integer
  var immediate: SizeRule = .none
  /// Bytes after the first immediate: a selector, a nesting level.
  var secondImmediate: UInt8 = 0
  var operandCount: UInt8 = 0
  var forms: InlineArray<4, CompactForm> = .init(repeating: CompactForm())
}

/// Where the rows of an opcode are.
struct OpcodeHead: BitwiseCopyable {
  var first: UInt16 = 0
  var count: UInt8 = 0
  var hasModRM = false
}

/// The bits of an encoding that tell the rows of one opcode apart.
enum MatchKey {
  static let rmShift: UInt32 = 0
  static let registerShift: UInt32 = 3
  static let registerMode: UInt32 = 1 << 6
  static let mode64: UInt32 = 1 << 7
  static let wide: UInt32 = 1 << 8
  static let vectorLong: UInt32 = 1 << 9
  static let extendedBase: UInt32 = 1 << 10
  static let lock: UInt32 = 1 << 11
  static let lockWithoutMemory: UInt32 = 1 << 12
  /// VEX.vvvv names a register.
  static let vexRegister: UInt32 = 1 << 13
  static let address16: UInt32 = 1 << 14
  /// One bit for each of ``PrefixClass``.
  static let prefixShift: UInt32 = 16
}

/// The opcode tables as flat memory that lives as long as the process.
@safe struct DecodeTables: @unchecked Sendable {
  static let shared = DecodeTables(rows: OpcodeTables.rows)

  private let rows: UnsafeMutablePointer<CompactRow>
  private let heads: UnsafeMutablePointer<OpcodeHead>
  private let sizes: UnsafeMutablePointer<UInt16>
  private let prefixes: UnsafeMutablePointer<UInt8>

  @inline(__always) func row(_ number: Int) -> UnsafePointer<CompactRow> {
    unsafe UnsafePointer(rows + number)
  }
  /// `index`: the opcode, its map above, and VEX above that.
  @inline(__always) func head(_ index: Int) -> OpcodeHead { unsafe heads[index] }
  @inline(__always) func bytes(_ rule: SizeRule, _ context: SizeContext) -> UInt16 {
    unsafe sizes[Int(rule.rawValue) &* SizeContext.count &+ context.rawValue]
  }
  /// What prefix a byte is, as the raw value of ``Prefixes``, or 0.
  @inline(__always) func prefix(_ byte: UInt8, mode64: Bool) -> UInt8 {
    unsafe prefixes[Int(byte) &+ (mode64 ? 256 : 0)]
  }

  private init(rows source: [OpcodeRow]) {
    unsafe rows = .allocate(capacity: source.count)
    unsafe heads = .allocate(capacity: 2 * 4 * 256)
    unsafe heads.initialize(repeating: OpcodeHead(), count: 2 * 4 * 256)
    unsafe sizes = .allocate(capacity: SizeRule.allCases.count * SizeContext.count)
    unsafe prefixes = .allocate(capacity: 512)
    unsafe prefixes.initialize(repeating: 0, count: 512)
    for (number, row) in source.enumerated() {
      unsafe (rows + number).initialize(to: CompactRow(row))
      guard number > 0 else { continue }
      let head = unsafe heads + Self.headIndex(row.encoding, row.map, row.opcode)
      if unsafe head.pointee.count == 0 { unsafe head.pointee.first = UInt16(number) }
      unsafe head.pointee.count += 1
      if row.hasModRM { unsafe head.pointee.hasModRM = true }
    }
    for rule in SizeRule.allCases {
      for context in 0..<SizeContext.count {
        unsafe sizes[Int(rule.rawValue) * SizeContext.count + context] =
          SizeContext(rawValue: context).bytes(rule)
      }
    }
    for byte in UInt8.min...UInt8.max {
      unsafe prefixes[Int(byte)] = Self.prefix(byte).rawValue
      unsafe prefixes[Int(byte) + 256] =
        byte & 0xf0 == 0x40 ? Prefixes.rex.rawValue : Self.prefix(byte).rawValue
    }
  }

  @inline(__always)
  static func headIndex(_ encoding: Encoding, _ map: OpcodeMap, _ opcode: UInt8) -> Int {
    Int(opcode) | Int(map.rawValue) << 8 | (encoding == .vex ? 1024 : 0)
  }

  private static func prefix(_ byte: UInt8) -> Prefixes {
    switch byte {
    case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65: .segment
    case 0x66: .operandSize
    case 0x67: .addressSize
    case 0xf0: .lock
    case 0xf2: .repeatNotEqual
    case 0xf3: .repeated
    default: []
    }
  }
}

extension CompactForm {
  init(_ form: OperandForm) {
    kind = form.kind
    place = form.place
    access = form.access
    number = form.number
    size = form.size
    memorySize = form.memorySize
    switch form.kind {
    case .mmx, .x87, .segment: numberMask = 7
    default: numberMask = 15
    }
  }
}

extension CompactRow {
  init(_ row: OpcodeRow) {
    operation = row.operation
    flags = row.flags
    sizing = row.sizing
    mandatoryPrefix = row.prefixes.byte
    check = row.check
    unit = row.unit
    feature = row.feature
    longFeature = row.longVectorFeature ?? row.feature
    operandCount = row.operandCount
    if row.conditional { traits.insert(.conditional) }
    if row.countedByImmediate { traits.insert(.counted) }
    if row.registerAlways { traits.insert(.registerAlways) }
    switch row.operation {
    case .compareString, .scanString: traits.insert(.repeatable)
    default: break
    }
    for number in 0..<Int(row.operandCount) {
      forms[number] = CompactForm(row.operands[number])
      takeImmediate(row.operands[number])
    }
    if row.hasTrailingByte { immediate = .b1 }
    match(row)
  }

  /// Notes the bytes that an operand takes after the ModRM part.
  private mutating func takeImmediate(_ form: OperandForm) {
    switch (form.place, form.kind) {
    case (.immediate, .memory): immediate = .a
    case (.immediate, _) where form.size == .p:
      immediate = .v
      secondImmediate = 2
    case (.immediate, _) where immediate == .none: immediate = form.size
    case (.immediate, _): secondImmediate = 1
    case (.immediateHigh, _): immediate = .b1
    default: break
    }
  }

  private mutating func match(_ row: OpcodeRow) {
    func require(_ bit: UInt32, _ rule: BitRule) {
      guard rule != .any else { return }
      mask |= bit
      if rule == .one { value |= bit }
    }
    if let field = row.registerField {
      mask |= 7 << MatchKey.registerShift
      value |= UInt32(field) << MatchKey.registerShift
    }
    if let field = row.rmField {
      mask |= 7 << MatchKey.rmShift
      value |= UInt32(field) << MatchKey.rmShift
    }
    switch row.mode {
    case .any: break
    case .memory: require(MatchKey.registerMode, .zero)
    case .register: require(MatchKey.registerMode, .one)
    }
    require(MatchKey.mode64, row.mode64)
    require(MatchKey.wide, row.wide)
    require(MatchKey.vectorLong, row.vectorLong)
    require(MatchKey.extendedBase, row.extendedBase)
    require(MatchKey.lockWithoutMemory, .zero)
    if !row.lockable { require(MatchKey.lock, .zero) }
    if row.encoding == .vex, !row.usesVEXRegister { require(MatchKey.vexRegister, .zero) }
    if row.check == .gather { require(MatchKey.address16, .zero) }
    mask |= UInt32(row.prefixes.rawValue ^ 15) << MatchKey.prefixShift
  }
}
