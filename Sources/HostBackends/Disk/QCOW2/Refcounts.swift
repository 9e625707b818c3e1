import Glibc
import Host

/// How often each cluster of an image is used: a table of blocks of counts.
///
/// Reference: QEMU, docs/interop/qcow2, "Host cluster management".
struct Refcounts {
  let file: DiskFile
  let clusterBits: Int
  /// The logarithm of a count's bits.
  let order: Int
  /// Offsets of the blocks; zero where all counts are.
  var table: [UInt64]
  var tableOffset: UInt64
  var blocks: TableCache
  private var changedEntries: Set<Int> = []
  /// No cluster before is free.
  var hint: UInt64 = 0
  /// The first cluster that the file does not reach.
  private(set) var end: UInt64

  /// How many counts an allocation looks at before it takes what is behind the file's end.
  private static let searchLimit = 1 << 20

  init(_ header: QCOW2Header, in file: DiskFile) throws(SystemError) {
    self.file = file
    (clusterBits, order) = (header.clusterBits, header.refcountOrder)
    tableOffset = header.refcountOffset
    let count = header.refcountClusters << header.clusterBits
    let bytes = try file.bytes(at: tableOffset, count: count)
    table = (0..<count / 8).map { bytes.big(UInt64.self, at: $0 * 8) }
    blocks = TableCache(file, tableSize: header.clusterSize)
    let size = UInt64(header.clusterSize)
    end = (try file.size() + size - 1) / size
  }

  var perBlock: UInt64 { 8 << UInt64(clusterBits - order) }
  private var maximum: UInt64 { order == 6 ? .max : 1 << (1 << UInt64(order)) - 1 }
  /// The first cluster that the table has no entry for.
  var reach: UInt64 { UInt64(table.count) * perBlock }
  var isDirty: Bool { blocks.dirtyCount > 0 || !changedEntries.isEmpty }

  mutating func count(of cluster: UInt64) throws(SystemError) -> UInt64 {
    guard let block = try block(of: cluster) else { return 0 }
    return Self.count(Int(cluster % perBlock), in: block.bytes, order: order)
  }

  /// The block that has the cluster's count, if there is one.
  private mutating func block(
    of cluster: UInt64
  ) throws(SystemError) -> TableCache.Table? {
    guard cluster < reach else { return nil }
    let offset = table[Int(cluster / perBlock)]
    if offset == 0 { return nil }
    return try blocks.table(at: Damage.checkedPlace(offset, clusterBits))
  }

  mutating func set(_ count: UInt64, of cluster: UInt64) throws(SystemError) {
    guard count <= maximum else { throw Damage.found }
    guard let block = try block(of: cluster) else {
      if count == 0 { return }
      try makeBlock(for: cluster)
      try set(count, of: cluster)
      return
    }
    let order = order
    let number = Int(cluster % perBlock)
    blocks.change(block) { Self.set(count, number, in: &$0, order: order) }
    end = max(end, count > 0 ? cluster + 1 : 0)
  }

  /// Takes a free cluster; returns its offset, and whether it is beyond what the file ever had.
  mutating func allocate() throws(SystemError) -> (offset: UInt64, isFresh: Bool) {
    for start in [hint, max(hint, end)] {
      hint = start
      for _ in 0..<Self.searchLimit {
        let cluster = hint
        hint += 1
        guard try isFree(cluster) else { continue }
        let isFresh = cluster >= end
        try set(1, of: cluster)
        return (cluster << UInt64(clusterBits), isFresh)
      }
    }
    // More counts behind the file's end than clusters: nobody has written these.
    throw Damage.found
  }

  /// Takes `count` free clusters that follow each other, behind all others.
  mutating func allocateBehind(_ count: Int) throws(SystemError) -> UInt64 {
    while true {
      let first = end
      // Blocks of counts that come to be may take a place in between.
      for cluster in first..<first + UInt64(count) { _ = try isFree(cluster) }
      if end > first { continue }
      for cluster in first..<first + UInt64(count) { try set(1, of: cluster) }
      return first << UInt64(clusterBits)
    }
  }

  /// Whether nobody uses the cluster; sees to it that it can be counted.
  private mutating func isFree(_ cluster: UInt64) throws(SystemError) -> Bool {
    if cluster >= reach { try grow(toReach: cluster) }
    if table[Int(cluster / perBlock)] == 0 { try makeBlock(for: cluster) }
    return try count(of: cluster) == 0
  }

  /// Writes what has changed: counts first, then the table that leads to them.
  mutating func write() throws(SystemError) {
    try blocks.writeDirty()
    if changedEntries.isEmpty { return }
    try file.flush()
    for entry in changedEntries.sorted() {
      var bytes = [UInt8](repeating: 0, count: 8)
      bytes.setBig(table[entry], at: 0)
      try file.write(bytes, at: tableOffset + UInt64(entry) * 8)
    }
    changedEntries = []
  }

  /// Makes a block of counts; it is in the first cluster that it counts and nobody can have.
  private mutating func makeBlock(for cluster: UInt64) throws(SystemError) {
    if cluster >= reach { return try grow(toReach: cluster) }
    let entry = Int(cluster / perBlock)
    // Nothing in the block's range is counted, so nothing there is used.
    let place = UInt64(entry) * perBlock
    guard place > 0 else { throw Damage.found }
    table[entry] = place << UInt64(clusterBits)
    changedEntries.insert(entry)
    _ = blocks.add(at: table[entry])
    try set(1, of: place)
  }

  /// Makes the table longer: a new one with new blocks behind the old one's reach.
  private mutating func grow(toReach cluster: UInt64) throws(SystemError) {
    let first = reach
    let entriesPerCluster = 1 << (clusterBits - 3)
    let size = UInt64(1 << clusterBits)
    // What the new blocks and the new table take is counted in the new blocks.
    let wanted = max(Int(cluster / perBlock) + 1, table.count * 3 / 2)
    var added = 1
    while true {
      let entries = max(wanted, table.count + added)
      let clusters = (entries + entriesPerCluster - 1) / entriesPerCluster
      guard clusters << clusterBits <= QCOW2Header.refcountTableLimit else {
        throw SystemError(call: "pwrite", errno: EFBIG)
      }
      guard UInt64(added + clusters) > UInt64(added) * perBlock else {
        try write()
        try replaceTable(added: added, clusters: clusters, at: first, size: size)
        return
      }
      added += 1
    }
  }

  private mutating func replaceTable(
    added: Int, clusters: Int, at first: UInt64, size: UInt64
  ) throws(SystemError) {
    let old = (offset: tableOffset, clusters: table.count >> (clusterBits - 3))
    let newOffset = (first + UInt64(added)) * size
    for number in 0..<added {
      table.append((first + UInt64(number)) * size)
      _ = blocks.add(at: (first + UInt64(number)) * size)
    }
    table += [UInt64](repeating: 0, count: clusters << (clusterBits - 3) - table.count)
    for cluster in first..<first + UInt64(added + clusters) { try set(1, of: cluster) }
    var bytes = [UInt8](repeating: 0, count: table.count * 8)
    for (entry, offset) in table.enumerated() { bytes.setBig(offset, at: entry * 8) }
    try blocks.writeDirty()
    try file.write(bytes, at: newOffset)
    try file.flush()
    // Offset and size in one write of one sector: the header is never in between.
    var fields = [UInt8](repeating: 0, count: 12)
    fields.setBig(newOffset, at: 0)
    fields.setBig(UInt32(clusters), at: 8)
    try file.write(fields, at: 48)
    try file.flush()
    tableOffset = newOffset
    for cluster in 0..<UInt64(old.clusters) { try set(0, of: old.offset / size + cluster) }
  }
}

extension Refcounts {
  /// Count `number` of a block; those below a byte begin with the least significant bit.
  static func count(_ number: Int, in bytes: [UInt8], order: Int) -> UInt64 {
    switch order {
    case 0...2:
      let shift = (number << order) & 7
      let byte = bytes[(number << order) >> 3]
      return UInt64(byte >> UInt8(shift)) & (1 << (1 << UInt64(order)) - 1)
    case 3: return UInt64(bytes[number])
    case 4: return UInt64(bytes.big(UInt16.self, at: number * 2))
    case 5: return UInt64(bytes.big(UInt32.self, at: number * 4))
    default: return bytes.big(UInt64.self, at: number * 8)
    }
  }

  static func set(_ count: UInt64, _ number: Int, in bytes: inout [UInt8], order: Int) {
    switch order {
    case 0...2:
      let shift = UInt8((number << order) & 7)
      let mask = (UInt8(1) << (1 << UInt8(order)) - 1) << shift
      let place = (number << order) >> 3
      bytes[place] = bytes[place] & ~mask | UInt8(truncatingIfNeeded: count) << shift
    case 3: bytes[number] = UInt8(truncatingIfNeeded: count)
    case 4: bytes.setBig(UInt16(truncatingIfNeeded: count), at: number * 2)
    case 5: bytes.setBig(UInt32(truncatingIfNeeded: count), at: number * 4)
    default: bytes.setBig(count, at: number * 8)
    }
  }
}

/// Metadata that cannot be right, found while the guest runs.
enum Damage {
  static var found: SystemError { SystemError(call: "qcow2", errno: EIO) }

  /// The offset of a cluster of metadata or data, if it can be one.
  static func checkedPlace(_ offset: UInt64, _ clusterBits: Int) throws(SystemError) -> UInt64 {
    guard offset < QCOW2Header.offsetLimit, offset & (1 << UInt64(clusterBits) - 1) == 0,
      offset > 0
    else { throw found }
    return offset
  }
}
