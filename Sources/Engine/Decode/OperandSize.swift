/// How many bytes of an operand are used, as far as the opcode says; the rest comes from the
/// effective operand size, from the vector length and from the mode.
///
/// The letters are those of the opcode maps in SDM vol. 2D, appendix A.
package enum SizeRule: UInt8, BitwiseCopyable, CaseIterable {
  /// Not known from the encoding, or no access.
  case none
  case b1, b2, b4, b8, b10, b16, b32, b64, b512
  /// 2, 4 or 8: the operand size.
  case v
  /// 2 or 4: the operand size, at most four bytes.
  case z
  /// 4, or 8 with REX.W.
  case y
  /// 4, or 8 in 64-bit mode.
  case m
  /// 2, 4 or 8: the address size.
  case a
  /// 16 or 32: the vector length; its half, quarter and eighth.
  case x, half, quarter, eighth
  /// 16, 32 where the vector is long, but 8 where it is not (VMOVDDUP).
  case duplicate
  /// A far pointer: the operand size and a selector.
  case p
  /// Two bounds of the operand size.
  case bounds
  /// The base and limit of a descriptor table.
  case table
  /// The x87 environment, and the whole x87 state.
  case environment, x87State
}

/// What a size rule depends on.
struct SizeContext: BitwiseCopyable {
  /// Bits 0-1: log2 of the operand size, less one; bits 2-3: the same of the address size;
  /// bit 4: 256-bit vectors; bit 5: 64-bit mode.
  let rawValue: Int
  static let count = 64

  @inline(__always)
  init(operandSizeIndex: Int, addressSizeIndex: Int, vectorLong: Bool, mode64: Bool) {
    rawValue =
      operandSizeIndex | addressSizeIndex << 2 | (vectorLong ? 16 : 0) | (mode64 ? 32 : 0)
  }

  init(rawValue: Int) { self.rawValue = rawValue }

  private var operandSize: UInt16 { 2 << UInt16(rawValue & 3) }
  private var addressSize: UInt16 { 2 << UInt16((rawValue >> 2) & 3) }
  private var vectorSize: UInt16 { rawValue & 16 != 0 ? 32 : 16 }
  private var mode64: Bool { rawValue & 32 != 0 }

  /// The bytes that `rule` stands for; the decoder looks them up in a table made from this.
  func bytes(_ rule: SizeRule) -> UInt16 {
    switch rule {
    case .none: 0
    case .b1: 1
    case .b2: 2
    case .b4: 4
    case .b8: 8
    case .b10: 10
    case .b16: 16
    case .b32: 32
    case .b64: 64
    case .b512: 512
    case .v: operandSize
    case .z: min(operandSize, 4)
    case .y: operandSize == 8 ? 8 : 4
    case .m: mode64 ? 8 : 4
    case .a: addressSize
    case .x: vectorSize
    case .half: vectorSize / 2
    case .quarter: vectorSize / 4
    case .eighth: vectorSize / 8
    case .duplicate: vectorSize == 32 ? 32 : 8
    case .p: operandSize + 2
    case .bounds: operandSize * 2
    case .table: mode64 ? 10 : 6
    case .environment: operandSize == 2 ? 14 : 28
    case .x87State: operandSize == 2 ? 94 : 108
    }
  }
}
