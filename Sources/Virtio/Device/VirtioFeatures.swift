/// What a device offers and a driver accepts: bits of the device's own kind, and those below, which
/// mean the same for all devices.
///
/// Reference: VIRTIO 1.2, sections 2.2 and 6.
public struct VirtioFeatures: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let indirectDescriptors = Self(rawValue: 1 << 28)
  public static let eventIndex = Self(rawValue: 1 << 29)
  /// The device follows version 1 of the specification; a driver that does not is refused.
  public static let version1 = Self(rawValue: 1 << 32)

  /// 32 of the features; none beyond the second word.
  func word(_ number: UInt32) -> UInt32 {
    number < 2 ? UInt32(truncatingIfNeeded: rawValue >> (32 * UInt64(number))) : 0
  }

  /// What the queues and transports of this module add to any device's own features.
  static let common: Self = [.indirectDescriptors, .eventIndex, .version1]
}

/// How far a driver has come with a device.
///
/// Reference: VIRTIO 1.2, section 2.1.
public struct VirtioStatus: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let acknowledge = Self(rawValue: 1 << 0)
  public static let driver = Self(rawValue: 1 << 1)
  public static let driverReady = Self(rawValue: 1 << 2)
  public static let featuresAgreed = Self(rawValue: 1 << 3)
  /// The device has met a fault and does nothing until it is reset.
  public static let needsReset = Self(rawValue: 1 << 6)
  public static let failed = Self(rawValue: 1 << 7)
}
