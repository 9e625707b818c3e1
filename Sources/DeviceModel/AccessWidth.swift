/// How many bytes one access moves.
public enum AccessWidth: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  case byte = 1
  case word = 2
  case double = 4
  case quad = 8

  /// The width of `bytes` bytes; `nil` when no single access moves that many.
  @inlinable @inline(always)
  public init?(bytes: Int) {
    switch bytes {
    case 1: self = .byte
    case 2: self = .word
    case 4: self = .double
    case 8: self = .quad
    default: return nil
    }
  }

  @inlinable @inline(always)
  public var bytes: Int { Int(rawValue) }

  /// Ones in every bit the access moves: also what an unowned address reads as.
  @inlinable @inline(always)
  public var mask: UInt64 { UInt64.max &>> (64 &- UInt64(rawValue) &* 8) }
}
