import Foundation

/// A small generator with a seed, so that every run can be repeated.
struct HarnessRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// 0 to `bound - 1`.
  mutating func below(_ bound: Int) -> Int {
    Int((UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: next())) &* UInt64(bound)) >> 32)
  }

  /// True in `percent` of 100 cases.
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
  mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }
}

/// A number from the environment: how a failed run is repeated, or a longer one made.
func environmentNumber(_ name: String) -> UInt64? {
  ProcessInfo.processInfo.environment[name].flatMap { text in
    text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
  }
}
