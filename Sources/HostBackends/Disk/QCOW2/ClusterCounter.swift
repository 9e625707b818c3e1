import Host

/// Counts how often each cluster of an image is referred to.
struct ClusterCounter {
  private(set) var counts: [UInt32] = []
  private(set) var report = QCOW2Report()
  private let clusterBits: Int
  private let version: UInt32
  /// Entries that may still be looked at: snapshots may be many, and all alike.
  private var budget = 1 << 30
  private var nextInOrder: UInt64 = 0

  /// More clusters are not counted: 256 MiB of memory.
  private static let limit: UInt64 = 1 << 26

  init(_ data: QCOW2Metadata) throws(QCOW2Fault) {
    (clusterBits, version) = (data.bits, data.header.version)
    guard data.refcounts.end <= Self.limit else { throw .tooLarge }
    counts = [UInt32](repeating: 0, count: Int(data.refcounts.end))
    let size = UInt64(1) << UInt64(clusterBits)
    report.totalClusters = (data.header.size + size - 1) / size
  }

  /// Goes through everything that the image's header leads to.
  mutating func countAll(_ data: inout QCOW2Metadata) throws(SystemError) {
    count(bytes: 1, at: 0)
    count(bytes: data.refcounts.table.count * 8, at: data.refcounts.tableOffset)
    for offset in data.refcounts.table where offset != 0 { count(bytes: 1, at: offset) }
    count(bytes: data.l1.count * 8, at: data.header.l1Offset)
    for entry in data.l1 { try countTable(entry, of: &data, isActive: true) }
    try countSnapshots(&data)
  }

  /// Counts the clusters that bytes in the file take.
  private mutating func count(bytes: Int, at offset: UInt64) {
    let size = UInt64(1) << UInt64(clusterBits)
    guard offset % size == 0, offset < QCOW2Header.offsetLimit else {
      report.corruptions += 1
      return
    }
    let first = offset / size
    count(first..<first + (UInt64(bytes) + size - 1) / size)
  }

  private mutating func count(_ clusters: Range<UInt64>) {
    guard clusters.upperBound <= Self.limit else {
      report.corruptions += 1
      return
    }
    if counts.count < clusters.upperBound {
      counts += [UInt32](repeating: 0, count: Int(clusters.upperBound) - counts.count)
    }
    for cluster in clusters { counts[Int(cluster)] &+= 1 }
  }

  private mutating func countTable(
    _ entry: UInt64, of data: inout QCOW2Metadata, isActive: Bool
  ) throws(SystemError) {
    let offset = entry & ClusterEntry.offsetMask
    if offset == 0 { return }
    count(bytes: 1, at: offset)
    guard let place = try? Damage.checkedPlace(offset, clusterBits) else { return }
    let table = try data.tables.table(at: place)
    budget -= 1 << (clusterBits - 3)
    if budget < 0 { throw Damage.found }
    for number in 0..<1 << (clusterBits - 3) {
      count(ClusterEntry(rawValue: table.entry(number)), isActive: isActive)
    }
  }

  private mutating func count(_ entry: ClusterEntry, isActive: Bool) {
    if !entry.isCompressed && entry.offset == 0 { return }
    if entry.isCompressed {
      count(entry.clusters(clusterBits))
    } else {
      count(bytes: 1, at: entry.offset)
    }
    if !isActive { return }
    report.allocatedClusters += 1
    if entry.isCompressed {
      report.compressedClusters += 1
      report.fragmentedClusters += 1
    } else {
      if nextInOrder != 0 && nextInOrder != entry.offset { report.fragmentedClusters += 1 }
      nextInOrder = entry.offset + 1 << UInt64(clusterBits)
    }
  }

  private mutating func countSnapshots(_ data: inout QCOW2Metadata) throws(SystemError) {
    let snapshots = try QCOW2Snapshot.all(data.header, in: data.file)
    guard let last = snapshots.last else { return }
    count(bytes: Int(last.end - data.header.snapshotsOffset), at: data.header.snapshotsOffset)
    for snapshot in snapshots {
      guard snapshot.l1Count * 8 <= QCOW2Header.l1Limit,
        snapshot.l1Offset < QCOW2Header.offsetLimit
      else {
        report.corruptions += 1
        continue
      }
      count(bytes: snapshot.l1Count * 8, at: snapshot.l1Offset)
      let bytes = try data.file.bytes(at: snapshot.l1Offset, count: snapshot.l1Count * 8)
      for number in 0..<snapshot.l1Count {
        try countTable(bytes.big(UInt64.self, at: number * 8), of: &data, isActive: false)
      }
    }
  }

  /// Compares with what the image counts, and has it count right if it is to be repaired.
  mutating func compare(
    with data: inout QCOW2Metadata, repairing: Bool
  ) throws(SystemError) {
    for cluster in 0..<UInt64(counts.count) {
      let expected = UInt64(counts[Int(cluster)])
      let actual = try data.refcounts.count(of: cluster)
      if actual > 0 { report.imageEnd = (cluster + 1) << UInt64(clusterBits) }
      if actual == expected { continue }
      if actual > expected { report.leaks += 1 } else { report.corruptions += 1 }
      if repairing { try data.refcounts.set(expected, of: cluster) }
    }
    report.corruptions += try data.compareOwned(repairing: repairing)
  }
}
