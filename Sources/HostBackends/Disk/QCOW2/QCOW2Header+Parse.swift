extension QCOW2Header {
  /// Reads the header from the first 64 KiB of a file, or from all that it has.
  init(_ bytes: [UInt8]) throws(QCOW2Fault) {
    guard bytes.count >= 72, bytes.big(UInt32.self, at: 0) == Self.magic else { throw .noHeader }
    self.init()
    version = bytes.big(UInt32.self, at: 4)
    guard version == 2 || version == 3 else { throw .version(version) }
    clusterBits = Int(bytes.big(UInt32.self, at: 20))
    guard (9...21).contains(clusterBits) else { throw .badField("cluster_bits") }
    size = bytes.big(UInt64.self, at: 24)
    if bytes.big(UInt32.self, at: 32) != 0 { throw .encrypted }
    l1Count = Int(bytes.big(UInt32.self, at: 36))
    l1Offset = bytes.big(UInt64.self, at: 40)
    refcountOffset = bytes.big(UInt64.self, at: 48)
    refcountClusters = Int(bytes.big(UInt32.self, at: 56))
    snapshotCount = Int(bytes.big(UInt32.self, at: 60))
    snapshotsOffset = bytes.big(UInt64.self, at: 64)
    var length = 72
    if version == 3 { length = try parseVersion3(bytes) }
    try check()
    try parseExtensions(bytes, from: length)
    try parseBackingFile(bytes)
  }

  private mutating func parseVersion3(_ bytes: [UInt8]) throws(QCOW2Fault) -> Int {
    guard bytes.count >= 104 else { throw .noHeader }
    let length = Int(bytes.big(UInt32.self, at: 100))
    guard length >= 104, length <= min(clusterSize, bytes.count), length % 8 == 0 else {
      throw .badField("header_length")
    }
    features = Features(rawValue: bytes.big(UInt64.self, at: 72))
    let unknown = features.subtracting([.dirty, .corrupt, .compression]).rawValue
    if unknown != 0 { throw .feature(unknown.trailingZeroBitCount) }
    compatible = bytes.big(UInt64.self, at: 80)
    autoclear = bytes.big(UInt64.self, at: 88)
    refcountOrder = Int(bytes.big(UInt32.self, at: 96))
    guard refcountOrder <= 6 else { throw .badField("refcount_order") }
    let number = length > 104 ? bytes[104] : 0
    guard let compression = Compression(rawValue: number),
      features.contains(.compression) == (number != 0)
    else { throw .compression(number) }
    self.compression = compression
    return length
  }

  /// Throws unless all tables are where they can be, and not larger than makes sense.
  private func check() throws(QCOW2Fault) {
    func isPlace(_ offset: UInt64) -> Bool {
      offset < Self.offsetLimit && offset % UInt64(clusterSize) == 0
    }
    guard size < Self.offsetLimit else { throw .badField("size") }
    guard isPlace(l1Offset), l1Count * 8 <= Self.l1Limit, l1Count >= tablesNeeded,
      l1Offset > 0 || l1Count == 0
    else { throw .badField("l1_size") }
    guard isPlace(refcountOffset), refcountOffset > 0, refcountClusters > 0,
      refcountClusters << clusterBits <= Self.refcountTableLimit
    else { throw .badField("refcount_table_clusters") }
    guard isPlace(snapshotsOffset), snapshotCount <= Self.snapshotLimit else {
      throw .badField("nb_snapshots")
    }
  }

  private mutating func parseExtensions(
    _ bytes: [UInt8], from start: Int
  ) throws(QCOW2Fault) {
    var place = start
    let end = min(bytes.count, clusterSize)
    while place + 8 <= end {
      let kind = bytes.big(UInt32.self, at: place)
      let length = Int(bytes.big(UInt32.self, at: place + 4))
      if kind == 0 { return }
      guard length <= end - place - 8 else {
        // A header of version 2 need not end its extensions.
        if version == 2 { return }
        throw .badField("header extension")
      }
      let data = bytes[place + 8..<place + 8 + length]
      switch kind {
      case 0xe279_2aca: backingFormat = String(decoding: data, as: UTF8.self)
      case 0x2385_2875: hasBitmaps = true
      default: break
      }
      place += 8 + (length + 7) / 8 * 8
    }
  }

  private mutating func parseBackingFile(_ bytes: [UInt8]) throws(QCOW2Fault) {
    let offset = bytes.big(UInt64.self, at: 8)
    if offset == 0 { return }
    let length = Int(bytes.big(UInt32.self, at: 16))
    guard length <= Self.nameLimit, offset + UInt64(length) <= UInt64(min(bytes.count, clusterSize))
    else { throw .badField("backing_file_offset") }
    backingFile = String(decoding: bytes[Int(offset)..<Int(offset) + length], as: UTF8.self)
  }
}
