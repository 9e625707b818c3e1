/// A counter of a machine or a processor (`struct kvm_stats_desc` and its values).
public struct Statistic: Hashable, Sendable {
  public var name: String
  public var kind: Kind
  public var unit: Unit
  /// The unit is multiplied by ``base`` to this power.
  public var exponent: Int16
  public var base: Base
  /// The width of a histogram's buckets, where it is linear.
  public var bucketSize: UInt32
  /// One, or as many as the histogram has buckets.
  public var values: [UInt64]

  public init(
    _ name: String, _ kind: Kind = .cumulative, _ unit: Unit = .none, exponent: Int16 = 0,
    base: Base = .ten, bucketSize: UInt32 = 0, values: [UInt64]
  ) {
    self.name = name
    self.kind = kind
    self.unit = unit
    self.exponent = exponent
    self.base = base
    self.bucketSize = bucketSize
    self.values = values
  }

  /// KVM_STATS_TYPE_*.
  public enum Kind: UInt32, Sendable {
    case cumulative, instant, peak, linearHistogram, logarithmicHistogram
  }

  /// KVM_STATS_UNIT_*.
  public enum Unit: UInt32, Sendable {
    case none, bytes, seconds, cycles, boolean
  }

  /// KVM_STATS_BASE_*.
  public enum Base: UInt32, Sendable {
    case ten, two
  }
}
