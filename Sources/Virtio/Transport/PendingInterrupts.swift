/// What the driver has not acknowledged yet.
struct PendingInterrupts: OptionSet {
  var rawValue: UInt32
  static let usedBuffers = Self(rawValue: 1)
  static let configuration = Self(rawValue: 2)
}

extension UInt64 {
  /// Replaces the low (0) or the high (1) 32 bits.
  mutating func setWord(_ number: UInt64, _ value: UInt32) {
    let shift = number * 32
    self = self & ~(0xffff_ffff << shift) | UInt64(value) << shift
  }
}
