import Glibc
import Host

/// A new qcow2 image: what is in its first clusters.
public struct QCOW2Layout: Hashable, Sendable {
  /// In bytes.
  public var size: UInt64
  public var clusterBits = 16
  public var backingFile: String?
  public var backingFormat: DiskOptions.Format?

  public init(size: UInt64) { self.size = size }

  /// Why there can be no such image; `nil` if there can.
  public var fault: QCOW2Fault? {
    if !(9...21).contains(clusterBits) { return .badField("cluster_bits") }
    let header = header
    if size >= QCOW2Header.offsetLimit || header.tablesNeeded * 8 > QCOW2Header.l1Limit {
      return .badField("size")
    }
    if (backingFile ?? "").utf8.count > min(QCOW2Header.nameLimit, header.clusterSize - 160) {
      return .badField("backing_file_size")
    }
    return nil
  }

  /// The header, but for where the tables are.
  private var header: QCOW2Header {
    var header = QCOW2Header()
    (header.size, header.clusterBits) = (size, clusterBits)
    (header.backingFile, header.backingFormat) = (backingFile, backingFormat?.rawValue)
    return header
  }

  /// Makes an empty file an image. Clusters: the header, the table of counts, their blocks, the
  /// L1 table.
  @discardableResult
  func write(to file: DiskFile) throws(SystemError) -> QCOW2Header {
    if fault != nil { throw SystemError(call: "pwrite", errno: EFBIG) }
    var header = header
    let size = header.clusterSize
    header.l1Count = max(header.tablesNeeded, 1)
    let l1Clusters = (header.l1Count * 8 + size - 1) / size
    var (table, blocks) = (1, 1)
    while true {
      let clusters = 1 + table + blocks + l1Clusters
      let neededBlocks = (clusters + header.countsPerBlock - 1) / header.countsPerBlock
      let neededTable = (neededBlocks * 8 + size - 1) / size
      if neededBlocks <= blocks && neededTable <= table { break }
      (table, blocks) = (max(table, neededTable), max(blocks, neededBlocks))
    }
    (header.refcountOffset, header.refcountClusters) = (UInt64(size), table)
    header.l1Offset = UInt64((1 + table + blocks) * size)

    let clusters = 1 + table + blocks + l1Clusters
    var entries = [UInt8](repeating: 0, count: blocks * 8)
    for block in 0..<blocks { entries.setBig(UInt64((1 + table + block) * size), at: block * 8) }
    var counts = [UInt8](repeating: 0, count: blocks * size)
    for cluster in 0..<clusters { counts.setBig(UInt16(1), at: cluster * 2) }
    try file.truncate(to: UInt64(clusters * size))
    try file.write(entries, at: header.refcountOffset)
    try file.write(counts, at: UInt64((1 + table) * size))
    try file.flush()
    try file.write(header.bytes, at: 0)
    try file.flush()
    return header
  }
}

extension QCOW2Header {
  /// The header as it is in a new file.
  var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 104)
    bytes.setBig(Self.magic, at: 0)
    bytes.setBig(version, at: 4)
    bytes.setBig(UInt32(clusterBits), at: 20)
    bytes.setBig(size, at: 24)
    bytes.setBig(UInt32(l1Count), at: 36)
    bytes.setBig(l1Offset, at: 40)
    bytes.setBig(refcountOffset, at: 48)
    bytes.setBig(UInt32(refcountClusters), at: 56)
    bytes.setBig(UInt32(refcountOrder), at: 96)
    bytes.setBig(UInt32(104), at: 100)
    if let backingFormat {
      let name = Array(backingFormat.utf8)
      bytes += [0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, UInt8(name.count)] + name
      bytes += [UInt8](repeating: 0, count: (8 - name.count % 8) % 8)
    }
    bytes += [UInt8](repeating: 0, count: 8)
    if let backingFile {
      bytes.setBig(UInt64(bytes.count), at: 8)
      bytes.setBig(UInt32(backingFile.utf8.count), at: 16)
      bytes += Array(backingFile.utf8)
    }
    return bytes
  }
}
