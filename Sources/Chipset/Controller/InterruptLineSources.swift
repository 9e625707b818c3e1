/// Who drives an interrupt line: a line is asserted while any of its sources asserts it.
struct LineSource: Hashable, Sendable {
  let rawValue: UInt64

  /// The machine's client, by the line's number.
  static let client = Self(rawValue: 1 << 0)
  /// The eventfds that are told when the interrupt ends.
  static let resampler = Self(rawValue: 1 << 1)
  /// The 8254.
  static let timer = Self(rawValue: 1 << 2)
  /// Devices with wires of their own, counted from zero.
  static func wire(_ number: Int) -> Self { Self(rawValue: 1 << UInt64(3 + number)) }

  static let wireCount = 61
}

/// For each input of a controller: the sources that assert it.
struct LineSources<let count: Int>: Sendable {
  private var asserted: [count of UInt64] = .init(repeating: 0)

  /// Notes what a source does; returns the level of the input.
  mutating func drive(_ input: Int, by source: LineSource, to isAsserted: Bool) -> Bool {
    if isAsserted {
      asserted[input] |= source.rawValue
    } else {
      asserted[input] &= ~source.rawValue
    }
    return asserted[input] != 0
  }
}
