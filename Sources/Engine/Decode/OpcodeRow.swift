/// Which 66, F2 and F3 prefixes select a row.
package struct PrefixClass: OptionSet, BitwiseCopyable, Hashable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let none = PrefixClass(rawValue: 1)
  package static let p66 = PrefixClass(rawValue: 2)
  package static let pF3 = PrefixClass(rawValue: 4)
  package static let pF2 = PrefixClass(rawValue: 8)
  /// The row does not ask: 66 is the operand size, F2 and F3 mean nothing or repeat.
  package static let any: PrefixClass = [.none, .p66, .pF3, .pF2]
  /// 66 is the operand size, F2 and F3 are other instructions or none.
  package static let size: PrefixClass = [.none, .p66]

  /// The byte of a class that is a single prefix, else 0.
  package var byte: UInt8 {
    switch self {
    case .p66: 0x66
    case .pF3: 0xf3
    case .pF2: 0xf2
    default: 0
    }
  }
}

/// How the effective operand size follows from mode and prefixes.
package enum OperandSizing: UInt8, BitwiseCopyable {
  case normal
  /// 64 bits in 64-bit mode; 66 makes it 16.
  case default64
  /// 64 bits in 64-bit mode, whatever the prefixes.
  case force64
  /// 66 is no operand size prefix here: 4, or 8 with REX.W.
  case ignores66
}

/// The flags that a row reads and writes; undefined ones count as written.
package struct FlagEffect: BitwiseCopyable {
  package var read: ArithmeticFlags = []
  package var written: ArithmeticFlags = []
  package var maybe: ArithmeticFlags = []

  package static let none = FlagEffect()
  package static let all = FlagEffect(written: .all)
  package static let maybeAll = FlagEffect(maybe: .all)
  package static let withCarry = FlagEffect(read: .carry, written: .all)
  package static let allButCarry = FlagEffect(written: .all.subtracting(.carry))
  package static let carry = FlagEffect(written: .carry)
  package static let zero = FlagEffect(written: .zero)
  package static let rotate = FlagEffect(written: [.carry, .overflow])
  package static let rotateCarry = FlagEffect(read: .carry, written: [.carry, .overflow])
  package static let low = FlagEffect(written: .all.subtracting(.overflow))
  /// MUL and IMUL; what the manual leaves undefined, processors may leave alone.
  package static let product = FlagEffect(
    written: [.carry, .overflow], maybe: .all.subtracting([.carry, .overflow]))
  /// BSF and BSR.
  package static let scan = FlagEffect(written: .zero, maybe: .all.subtracting(.zero))
  /// TZCNT and LZCNT.
  package static let countZeros = FlagEffect(
    written: [.carry, .zero], maybe: .all.subtracting([.carry, .zero]))
  package static let readsAll = FlagEffect(read: .all)
  package static let readsZero = FlagEffect(read: .zero)
  package static let readsCarry = FlagEffect(read: .carry)

  /// The same flags, written only where the count is not 0 and the count is not known.
  var unknownCount: FlagEffect { FlagEffect(read: read, maybe: written) }
}

/// A further condition on a row's registers.
package enum RowCheck: UInt8, BitwiseCopyable {
  case none
  /// A segment register that exists, and one that can be loaded.
  case segmentSource, segmentTarget
  case control, debug
  /// The three vector registers of a gather are different.
  case gather
}

/// How a row's encoding is made.
package enum Encoding: UInt8, BitwiseCopyable { case legacy, vex }

/// A constraint on one bit of the encoding.
package enum BitRule: UInt8, BitwiseCopyable { case any, zero, one }

/// One instruction of the opcode tables: everything there is to know about it, once.
///
/// Decoder, disassembler and the random instructions of the tests all read these rows.
package struct OpcodeRow: BitwiseCopyable {
  package var name: StaticString
  package var map: OpcodeMap = .oneByte
  package var opcode: UInt8
  /// How many opcodes from `opcode` on are this row: 1, 8 (register in the opcode) or 16 (condition).
  package var opcodeCount: UInt8 = 1
  package var encoding: Encoding = .legacy
  package var prefixes: PrefixClass = .any
  /// The ModRM fields that the row asks for; nil where any will do.
  package var registerField: UInt8?
  package var rmField: UInt8?
  package var mode: OperandForm.Mode = .any
  package var hasModRM = false
  package var wide: BitRule = .any
  package var vectorLong: BitRule = .any
  /// REX.B, which tells NOP from XCHG.
  package var extendedBase: BitRule = .any
  /// 64-bit mode: one where the row exists only there, zero where it does not.
  package var mode64: BitRule = .any
  package var sizing: OperandSizing = .normal
  package var operation: Operation = .plain
  package var flags: FlagEffect = .none
  package var operands: InlineArray<4, OperandForm> = .init(repeating: .none)
  package var operandCount: UInt8 = 0
  package var lockable = false
  /// Name, and flags read, depend on the condition in the opcode's low nibble.
  package var conditional = false
  /// Flags are written only if the immediate, masked as a count, is not 0.
  package var countedByImmediate = false
  /// An immediate byte for which the list of operands has no place.
  package var hasTrailingByte = false
  /// The ModRM byte's mode is ignored: the operand is a register.
  package var registerAlways = false
  package var check: RowCheck = .none
  /// What must be offered; `longVectorFeature` at 256 bits.
  package var feature: FeatureSet = .always
  package var longVectorFeature: FeatureSet?
  /// The row's VEX twin is to be made too.
  package var twin: Twin = .none

  /// How a VEX twin's operands differ.
  package enum Twin: UInt8, BitwiseCopyable {
    case none
    /// The same operands.
    case same
    /// The first source has its own field.
    case separate
  }
}

/// A row of the table that is being written; every other property has a modifier below.
func row(
  _ opcode: UInt8, _ name: StaticString, _ a: OperandForm = .none, _ b: OperandForm = .none,
  _ c: OperandForm = .none, _ d: OperandForm = .none
) -> OpcodeRow {
  var row = OpcodeRow(name: name, opcode: opcode)
  row.operands = [a, b, c, d]
  for number in 0..<4 where row.operands[number].kind != .none {
    let form = row.operands[number]
    row.operandCount = UInt8(number + 1)
    if form.mode != .any { row.mode = form.mode }
    switch form.place {
    case .modRMRegister, .modRMMemory: row.hasModRM = true
    case .opcodeLow: row.opcodeCount = 8
    default: break
    }
  }
  return row
}

/// A row of a group: `field` is the value of ModRM.reg.
func group(
  _ opcode: UInt8, _ field: UInt8, _ name: StaticString, _ a: OperandForm = .none,
  _ b: OperandForm = .none, _ c: OperandForm = .none, _ d: OperandForm = .none
) -> OpcodeRow {
  var made = row(opcode, name, a, b, c, d)
  made.registerField = field
  made.hasModRM = true
  return made
}

extension OpcodeRow {
  /// The same row with something changed.
  func with(_ change: (inout OpcodeRow) -> Void) -> OpcodeRow {
    var copy = self
    change(&copy)
    return copy
  }

  func does(_ operation: Operation) -> OpcodeRow { with { $0.operation = operation } }
  func flags(_ effect: FlagEffect) -> OpcodeRow { with { $0.flags = effect } }
  func reads(_ flags: ArithmeticFlags) -> OpcodeRow { with { $0.flags.read = flags } }
  func writes(_ flags: ArithmeticFlags) -> OpcodeRow { with { $0.flags.written = flags } }
  func needs(_ feature: FeatureSet) -> OpcodeRow { with { $0.feature = feature } }
  func checked(_ check: RowCheck) -> OpcodeRow { with { $0.check = check } }
  func rm(_ field: UInt8) -> OpcodeRow {
    with {
      $0.rmField = field
      $0.mode = .register
      $0.hasModRM = true
    }
  }

  var modRM: OpcodeRow { with { $0.hasModRM = true } }
  var memoryForm: OpcodeRow { with { $0.mode = .memory } }
  var registerForm: OpcodeRow { with { $0.mode = .register } }
  var registerAlwaysForm: OpcodeRow {
    with {
      $0.mode = .any
      $0.registerAlways = true
    }
  }
  var lock: OpcodeRow { with { $0.lockable = true } }
  var only64: OpcodeRow { with { $0.mode64 = .one } }
  var not64: OpcodeRow { with { $0.mode64 = .zero } }
  var default64: OpcodeRow { with { $0.sizing = .default64 } }
  var force64: OpcodeRow { with { $0.sizing = .force64 } }
  var w0: OpcodeRow { with { $0.wide = .zero } }
  var w1: OpcodeRow { with { $0.wide = .one } }
  var l0: OpcodeRow { with { $0.vectorLong = .zero } }
  var l1: OpcodeRow { with { $0.vectorLong = .one } }
  var counted: OpcodeRow { with { $0.countedByImmediate = true } }
  var trailingByte: OpcodeRow { with { $0.hasTrailingByte = true } }
  /// Sixteen opcodes, one per condition.
  var conditions: OpcodeRow {
    with {
      $0.opcodeCount = 16
      $0.conditional = true
    }
  }

  /// Selected by no prefix, 66, F3 or F2, none of which is then an operand size.
  var np: OpcodeRow { selected(.none) }
  var p66: OpcodeRow { selected(.p66) }
  var f3: OpcodeRow { selected(.pF3) }
  var f2: OpcodeRow { selected(.pF2) }

  private func selected(_ prefixes: PrefixClass) -> OpcodeRow {
    with {
      $0.prefixes = prefixes
      if $0.sizing == .normal { $0.sizing = .ignores66 }
    }
  }

  /// Selected by F3, or F2, or neither, with 66 as the operand size.
  var f3Sized: OpcodeRow { with { $0.prefixes = .pF3 } }
  var f2Sized: OpcodeRow { with { $0.prefixes = .pF2 } }
  var sized: OpcodeRow { with { $0.prefixes = .size } }
}
