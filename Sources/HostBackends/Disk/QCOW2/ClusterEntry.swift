/// What an L2 table says of a cluster of the disk.
///
/// Reference: QEMU, docs/interop/qcow2, "Cluster mapping".
struct ClusterEntry: Hashable, Sendable {
  var rawValue: UInt64

  /// Nobody else uses the cluster, so it may be written.
  static let owned: UInt64 = 1 << 63
  static let compressed: UInt64 = 1 << 62
  static let zeros: UInt64 = 1
  static let offsetMask: UInt64 = (1 << 56 - 1) & ~0x1ff

  var isOwned: Bool { rawValue & Self.owned != 0 }
  var isCompressed: Bool { rawValue & Self.compressed != 0 }
  /// Of clusters that are not compressed: reads as zeros, wherever its offset leads.
  var isZeros: Bool { !isCompressed && rawValue & Self.zeros != 0 }
  /// Of clusters that are not compressed: where it is in the file; zero for nowhere.
  var offset: UInt64 { rawValue & Self.offsetMask }

  /// Of a compressed cluster: its bytes in the file, whole sectors, of which it may not need all.
  func stream(_ clusterBits: Int) -> Range<UInt64> {
    let width = UInt64(62 - (clusterBits - 8))
    let start = rawValue & (1 << width - 1) & (QCOW2Header.offsetLimit - 1)
    let sectors = (rawValue & (Self.compressed - 1)) >> width + 1
    return start..<(start & ~511) + sectors * 512
  }

  /// The clusters of the file that it uses, each once.
  func clusters(_ clusterBits: Int) -> Range<UInt64> {
    let bits = UInt64(clusterBits)
    if isCompressed {
      let stream = stream(clusterBits)
      return stream.lowerBound >> bits..<(stream.upperBound - 1) >> bits + 1
    }
    let cluster = offset >> bits
    return cluster..<cluster + (offset == 0 ? 0 : 1)
  }
}

/// Where a run of the disk's bytes is.
enum ClusterPlace: Hashable, Sendable {
  /// In the file, at this offset.
  case file(UInt64, isOwned: Bool)
  case zeros
  /// In the backing file; zeros where there is none.
  case backing
  case compressed(ClusterEntry)
}

struct ClusterRun {
  let place: ClusterPlace
  /// In bytes.
  let count: Int
}
