/// The opcode map that a row is in.
package enum OpcodeMap: UInt8, BitwiseCopyable {
  case oneByte, twoByte, threeByte38, threeByte3A
}

/// Prefix bytes that came with the instruction, whatever they mean to it.
package struct Prefixes: OptionSet, BitwiseCopyable, Hashable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let operandSize = Prefixes(rawValue: 1)  // 66
  package static let addressSize = Prefixes(rawValue: 2)  // 67
  package static let lock = Prefixes(rawValue: 4)  // F0
  package static let repeatNotEqual = Prefixes(rawValue: 8)  // F2
  package static let repeated = Prefixes(rawValue: 16)  // F3
  package static let segment = Prefixes(rawValue: 32)
  package static let rex = Prefixes(rawValue: 64)
}

/// The six arithmetic flags, at their places in RFLAGS.
package struct ArithmeticFlags: OptionSet, BitwiseCopyable, Hashable {
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  package static let carry = ArithmeticFlags(rawValue: 0x001)
  package static let parity = ArithmeticFlags(rawValue: 0x004)
  package static let auxiliary = ArithmeticFlags(rawValue: 0x010)
  package static let zero = ArithmeticFlags(rawValue: 0x040)
  package static let sign = ArithmeticFlags(rawValue: 0x080)
  package static let overflow = ArithmeticFlags(rawValue: 0x800)
  package static let all = ArithmeticFlags(rawValue: 0x8d5)
}

/// How wide code's default operands, addresses and instruction pointer are.
package enum CodeSize: UInt8, BitwiseCopyable, CaseIterable {
  case bits16, bits32, bits64
}

/// The part of the processor that an instruction needs; the guest may have switched it off
/// (CR0.EM and CR0.TS, CR4.OSFXSR, CR4.OSXSAVE with XCR0).
package enum ExecutionUnit: UInt8, BitwiseCopyable { case integer, x87, mmx, sse, avx }

/// What became of an attempt to decode.
package enum DecodeResult: UInt8, BitwiseCopyable {
  case decoded
  /// The bytes at hand end within the instruction.
  case needsMoreBytes
  /// More than fifteen bytes: #GP(0).
  case tooLong
}

/// One guest instruction, decoded: everything the translator must know to emit it again.
package struct Instruction: BitwiseCopyable {
  package static let noRegister: UInt8 = 0xff
  package static let instructionPointer: UInt8 = 16

  /// Index of the row in the opcode tables (name, operand forms).
  package var row: UInt16 = 0
  package var operation: Operation = .undefined
  /// Whose availability to check: #NM and #UD of x87, MMX, SSE and AVX instructions.
  package var unit: ExecutionUnit = .integer
  package var map: OpcodeMap = .oneByte
  package var opcode: UInt8 = 0
  /// In bytes, prefixes included, 1 to 15.
  package var length: UInt8 = 0
  package var prefixes: Prefixes = []
  /// The 66, F2 or F3 that selected the row, to be emitted again; 0 where none did.
  package var mandatoryPrefix: UInt8 = 0
  package var isVEX = false
  /// REX.W or VEX.W as it stood in the encoding.
  package var wide = false
  /// VEX.L: false 128 bits (or scalar), true 256.
  package var vectorLong = false
  package var hasModRM = false
  /// The ModRM byte as it stood.
  package var modRM: UInt8 = 0

  /// Effective operand size in bytes: 2, 4 or 8 (byte forms say so in their operands).
  package var operandSize: UInt8 = 4
  /// Effective address size in bytes: 2, 4 or 8.
  package var addressSize: UInt8 = 8

  /// Whether there is a memory operand with base, index and displacement (LEA included).
  package var hasMemory = false
  /// 0…15, ``instructionPointer`` or ``noRegister``.
  package var base: UInt8 = noRegister
  package var index: UInt8 = noRegister
  /// log2 of the scale.
  package var scaleShift: UInt8 = 0
  /// The segment the memory operand is in, default or overridden: 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS.
  package var segment: UInt8 = 3
  /// How the memory operand is used; empty when it is not accessed (LEA, hint NOPs).
  package var memoryAccess: Access = []
  /// Bytes accessed at the memory operand: 1…512, or 0 where it depends on more than the encoding.
  package var memorySize: UInt16 = 0
  /// The displacement; the absolute address of A0…A3.
  package var displacement: Int64 = 0

  /// Bytes of the (first) immediate as encoded: 0, 1, 2, 4 or 8; relative targets included.
  package var immediateSize: UInt8 = 0
  /// The immediate, sign-extended, as encoded.
  package var immediate: Int64 = 0
  /// The second immediate: ENTER's nesting level; a far pointer's selector.
  package var secondImmediate: UInt16 = 0

  /// Flags the instruction's outcome depends on.
  package var flagsRead: ArithmeticFlags = []
  /// Flags that are certainly replaced, or left undefined by the manual.
  package var flagsWritten: ArithmeticFlags = []
  /// Flags that may keep their value or be replaced (shifts whose count may be 0).
  package var flagsMaybeWritten: ArithmeticFlags = []

  package var operandCount: UInt8 = 0
  package var operands: InlineArray<4, Operand> = .init(repeating: .none)

  package init() {}

  package var modRMRegister: UInt8 { (modRM >> 3) & 7 }
  package var modRMMode: UInt8 { modRM >> 6 }
}
