import Foundation
import SeededRandom

extension SeededGenerator {
  /// The seed of this run: APUS_SEED if set, else one that differs each time.
  static func runSeed() -> UInt64 {
    environmentNumber("APUS_SEED") ?? UInt64.random(in: 0...UInt64.max)
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
