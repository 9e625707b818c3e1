import DeviceModel

/// What a disk's driver reads about it.
///
/// Reference: VIRTIO 1.2, section 5.2.4, "Device configuration layout".
enum BlockConfiguration {
  /// Buffers in one request; header and status come on top.
  static let segmentLimit: UInt32 = 254
  /// Sectors that one discard or clearing may have: 1 GiB.
  static let clearingLimit: UInt32 = 1 << 21
  /// Where the byte is that says whether the guest wants writes to be cached.
  static let cacheOffset = 32

  static func bytes(_ store: any BlockStore, queues: Int, isCached: Bool) -> [UInt8] {
    let sectors = store.capacity / UInt64(BlockRequest.sector)
    let parts: [[UInt8]] = [
      little(sectors), little(UInt32(0)), little(segmentLimit),
      [0, 0, 0, 0],  // no geometry
      little(UInt32(BlockRequest.sector)),
      // Eight sectors to a physical block, none before the first, best in whole blocks.
      [3, 0], little(UInt16(1)), little(UInt32(1)),
      [isCached ? 1 : 0, 0], little(UInt16(queues)),
      little(clearingLimit), little(UInt32(1)), little(UInt32(8)),
      little(clearingLimit), little(UInt32(1)), [1, 0, 0, 0],
    ]
    return parts.flatMap { $0 }
  }

  private static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Value(8 * $0)) }
  }
}

extension VirtioFeatures {
  static let blockSegmentLimit = Self(rawValue: 1 << 2)
  static let blockReadOnly = Self(rawValue: 1 << 5)
  static let blockSize = Self(rawValue: 1 << 6)
  static let blockFlush = Self(rawValue: 1 << 9)
  static let blockTopology = Self(rawValue: 1 << 10)
  static let blockCacheControl = Self(rawValue: 1 << 11)
  static let blockQueues = Self(rawValue: 1 << 12)
  static let blockDiscard = Self(rawValue: 1 << 13)
  static let blockWriteZeroes = Self(rawValue: 1 << 14)
}
