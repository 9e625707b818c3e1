/// An amount of memory, written as people write it: `512M`, `3G`, `2GiB`.
public struct ByteCount: Hashable, Comparable, Sendable {
  public var bytes: UInt64

  public init(bytes: UInt64) { self.bytes = bytes }

  public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }

  public static func mebibytes(_ count: UInt64) -> Self { Self(bytes: count << 20) }

  /// Parses a whole number and a unit of K, M, G or T (powers of 1024, in either case, `B` or `iB`
  /// may follow). A bare number counts MiB, as elsewhere with `-m`. `nil` for anything else.
  public init?(_ text: some StringProtocol) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = UInt64(digits) else { return nil }
    let shift: UInt64
    switch text.dropFirst(digits.count).lowercased() {
    case "k", "kb", "kib": shift = 10
    case "", "m", "mb", "mib": shift = 20
    case "g", "gb", "gib": shift = 30
    case "t", "tb", "tib": shift = 40
    default: return nil
    }
    guard number.leadingZeroBitCount >= shift else { return nil }
    bytes = number << shift
  }
}

extension ByteCount: CustomStringConvertible {
  /// The shortest form that ``init(_:)`` reads back; whole KiB only.
  public var description: String {
    for (unit, shift) in [("T", 40), ("G", 30), ("M", 20)] as [(String, UInt64)]
    where bytes != 0 && bytes.trailingZeroBitCount >= shift {
      return "\(bytes >> shift)\(unit)"
    }
    return "\(bytes >> 10)K"
  }
}

extension ByteCount: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Self(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not an amount of memory: \(text)")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
