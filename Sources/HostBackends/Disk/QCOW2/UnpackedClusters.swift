import Host

/// The last compressed clusters that were unpacked: a guest reads one in many pieces.
final class UnpackedClusters: Sendable {
  private typealias Entry = (key: ClusterEntry, bytes: [UInt8])

  private let file: DiskFile
  private let clusterBits: Int
  private let compression: QCOW2Header.Compression
  private let limit: Int
  /// The one used last at the end.
  private let recent = Monitor<[Entry]>([])

  init(_ header: QCOW2Header, in file: DiskFile) {
    self.file = file
    (clusterBits, compression) = (header.clusterBits, header.compression)
    limit = max(2, (1 << 20) >> header.clusterBits)
  }

  func cluster(_ entry: ClusterEntry) throws(SystemError) -> [UInt8] {
    let known = recent.withLock { recent -> [UInt8]? in
      guard let place = recent.lastIndex(where: { $0.key == entry }) else { return nil }
      let found = recent.remove(at: place)
      recent.append(found)
      return found.bytes
    }
    if let known { return known }
    let stream = entry.stream(clusterBits)
    let packed = try file.bytes(at: stream.lowerBound, count: stream.count)
    let bytes = CompressedCluster.unpack(packed, compression, size: 1 << clusterBits)
    guard let bytes else { throw Damage.found }
    recent.withLock { recent in
      recent.append((entry, bytes))
      if recent.count > limit { recent.removeFirst() }
    }
    return bytes
  }
}
