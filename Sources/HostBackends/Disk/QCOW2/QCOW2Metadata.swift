import Host

/// The tables of an image: which clusters of the file are which of the disk.
struct QCOW2Metadata {
  let file: DiskFile
  var header: QCOW2Header
  var l1: [UInt64]
  var tables: TableCache
  var refcounts: Refcounts
  private var changedL1: Set<Int> = []
  /// Clusters that nothing refers to any more once the tables are written.
  private var freed: [UInt64] = []

  init(_ header: QCOW2Header, in file: DiskFile) throws(SystemError) {
    (self.header, self.file) = (header, file)
    let bytes = try file.bytes(at: header.l1Offset, count: header.l1Count * 8)
    l1 = (0..<header.l1Count).map { bytes.big(UInt64.self, at: $0 * 8) }
    tables = TableCache(file, tableSize: header.clusterSize)
    refcounts = try Refcounts(header, in: file)
  }

  var bits: Int { header.clusterBits }
  private var entriesPerTable: Int { 1 << (bits - 3) }

  var isDirty: Bool {
    tables.dirtyCount > 0 || refcounts.isDirty || !changedL1.isEmpty || !freed.isEmpty
  }

  /// Whether so much has changed that it should be written.
  var isFull: Bool { tables.isFull || refcounts.blocks.isFull || freed.count > 4096 }

  // MARK: Looking

  func hasTable(of cluster: UInt64) -> Bool {
    l1[Int(cluster) / entriesPerTable] & ClusterEntry.offsetMask != 0
  }

  mutating func entry(_ cluster: UInt64) throws(SystemError) -> ClusterEntry {
    let (number, place) = Int(cluster).quotientAndRemainder(dividingBy: entriesPerTable)
    let offset = l1[number] & ClusterEntry.offsetMask
    if offset == 0 { return ClusterEntry(rawValue: 0) }
    let table = try tables.table(at: Damage.checkedPlace(offset, bits))
    return ClusterEntry(rawValue: table.entry(place))
  }

  /// Where the disk's byte at `position` is.
  mutating func place(of position: UInt64) throws(SystemError) -> ClusterPlace {
    let entry = try entry(position >> UInt64(bits))
    if entry.isCompressed { return .compressed(entry) }
    if header.version >= 3 && entry.isZeros { return .zeros }
    if entry.offset == 0 { return .backing }
    let offset = try Damage.checkedPlace(entry.offset, bits)
    return .file(offset + position & (1 << UInt64(bits) - 1), isOwned: entry.isOwned)
  }

  /// Where the bytes of `range` are that are in the same place as its first.
  mutating func run(_ range: Range<UInt64>) throws(SystemError) -> ClusterRun {
    let size = UInt64(header.clusterSize)
    let first = try place(of: range.lowerBound)
    var end = (range.lowerBound / size + 1) * size
    while end < range.upperBound, try place(of: end) == first.after(end - range.lowerBound) {
      end += size
    }
    return ClusterRun(place: first, count: Int(min(end, range.upperBound) - range.lowerBound))
  }

  // MARK: Changing

  /// Sets what the table says of a cluster; what it said before is free once that is on the disk.
  mutating func setEntry(_ entry: ClusterEntry, of cluster: UInt64) throws(SystemError) {
    let old = try self.entry(cluster)
    if old == entry { return }
    let table = try ownTable(Int(cluster) / entriesPerTable)
    let place = Int(cluster) % entriesPerTable * 8
    tables.change(table) { $0.setBig(entry.rawValue, at: place) }
    if old.isCompressed || old.offset != entry.offset { freed += old.clusters(bits) }
  }

  /// Says whether the image alone has table `number`.
  mutating func setOwned(_ isOwned: Bool, table number: Int) {
    l1[number] = l1[number] & ~ClusterEntry.owned | (isOwned ? ClusterEntry.owned : 0)
    changedL1.insert(number)
  }

  /// Gives back a cluster that nothing has referred to.
  mutating func giveBack(_ offset: UInt64) { freed.append(offset >> UInt64(bits)) }

  /// The table `number`, made or copied if the image shares it with a snapshot or has none.
  private mutating func ownTable(_ number: Int) throws(SystemError) -> TableCache.Table {
    let entry = l1[number]
    let offset = entry & ClusterEntry.offsetMask
    if offset != 0 && entry & ClusterEntry.owned != 0 {
      return try tables.table(at: Damage.checkedPlace(offset, bits))
    }
    let bytes =
      offset == 0 ? nil : try tables.table(at: Damage.checkedPlace(offset, bits)).bytes
    let new = try refcounts.allocate().offset
    l1[number] = new | ClusterEntry.owned
    changedL1.insert(number)
    if offset != 0 { freed.append(offset >> UInt64(bits)) }
    return tables.add(at: new, bytes)
  }

  /// Writes all that has changed, so that the image is sound after each step: counts before what is
  /// counted, data and tables before what refers to them, and nothing is free before its last
  /// reference is gone.
  mutating func write() throws(SystemError) {
    guard isDirty else { return }
    try refcounts.write()
    try file.flush()
    try tables.writeDirty()
    if !changedL1.isEmpty {
      try file.flush()
      for number in changedL1.sorted() {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.setBig(l1[number], at: 0)
        try file.write(bytes, at: header.l1Offset + UInt64(number) * 8)
      }
      changedL1 = []
    }
    if freed.isEmpty { return }
    try file.flush()
    try releaseFreed()
    try refcounts.write()
  }

  private mutating func releaseFreed() throws(SystemError) {
    let size = UInt64(header.clusterSize)
    var hole: Range<UInt64>?
    for cluster in freed.sorted() {
      let count = try refcounts.count(of: cluster)
      // Nothing to take back in an image that counts too little.
      if count == 0 { continue }
      try refcounts.set(count - 1, of: cluster)
      if count > 1 { continue }
      refcounts.hint = min(refcounts.hint, cluster)
      let place = cluster * size
      if let open = hole, open.upperBound == place {
        hole = open.lowerBound..<place + size
      } else {
        if let hole { try file.discard(hole) }
        hole = place..<place + size
      }
    }
    if let hole { try file.discard(hole) }
    freed = []
  }
}

extension ClusterPlace {
  /// The place so many bytes on, if it goes on.
  fileprivate func after(_ count: UInt64) -> ClusterPlace {
    switch self {
    case .file(let offset, let isOwned): .file(offset + count, isOwned: isOwned)
    case .zeros, .backing: self
    // Each compressed cluster is for itself.
    case .compressed: .compressed(ClusterEntry(rawValue: 0))
    }
  }
}
