import DeviceModel
import Host

/// Changes how large disks are.
public enum DiskResize {
  /// Makes a disk `size` bytes large, which are whole sectors. What is behind its new end is lost.
  public static func resize(_ path: String, to size: UInt64) throws(DiskError) {
    let description = try DiskDescription(path)
    switch description.format {
    case .raw:
      let file = try DiskOpener().file(path)
      try DiskOpener.asDiskError { () throws(SystemError) in try file.truncate(to: size) }
    case .qcow2:
      try resize(qcow2: path, to: size)
      if size > description.virtualSize {
        try hideBacking(path, from: description.virtualSize)
      }
    }
  }

  private static func resize(qcow2 path: String, to size: UInt64) throws(DiskError) {
    let image = try DiskOpener().image(path, format: .qcow2)
    guard let image = image as? QCOW2Image else { return }
    var layout = QCOW2Layout(size: size)
    layout.clusterBits = image.clusterBits
    if let fault = layout.fault { throw .qcow2(fault) }
    // A snapshot has tables of its own size, but only programs that know more can go back to it.
    try DiskOpener.asDiskError { () throws(SystemError) in
      if size < image.capacity {
        let end = (size + 511) / 512 * 512
        if end < image.capacity { try image.discard(end..<image.capacity) }
      }
      try image.setSize(size)
    }
  }

  /// The disk's new part is zeros, even where the backing file has more than the disk had.
  private static func hideBacking(_ path: String, from start: UInt64) throws(DiskError) {
    let image = try DiskOpener().image(path, format: .qcow2)
    guard let backing = (image as? QCOW2Image)?.backing, backing.capacity > start else { return }
    try DiskOpener.asDiskError { () throws(SystemError) in
      try image.writeZeroes(start..<min(image.capacity, backing.capacity))
      try image.flush()
    }
  }
}

extension QCOW2Image {
  /// Changes the size in the header. The image must be opened anew after that.
  fileprivate func setSize(_ size: UInt64) throws(SystemError) {
    try lock.alone { () throws(SystemError) in
      try metadata.withLock { data throws(SystemError) in try data.setSize(size) }
      try writeMetadata()
      try file.flush()
    }
  }
}

extension QCOW2Metadata {
  fileprivate mutating func setSize(_ size: UInt64) throws(SystemError) {
    let old = header
    header.size = size
    if header.tablesNeeded > l1.count { try growL1(to: header.tablesNeeded) }
    try write()
    // Size, method of encryption (none), count and place of the L1 table: one write of one sector.
    var fields = [UInt8](repeating: 0, count: 24)
    fields.setBig(header.size, at: 0)
    fields.setBig(UInt32(header.l1Count), at: 12)
    fields.setBig(header.l1Offset, at: 16)
    try file.write(fields, at: 24)
    try file.flush()
    if old.l1Offset == header.l1Offset { return }
    let bytes = old.l1Count * 8
    for start in stride(from: 0, to: bytes, by: header.clusterSize) {
      giveBack(old.l1Offset + UInt64(start))
    }
  }

  /// Makes a longer L1 table, in another place.
  private mutating func growL1(to count: Int) throws(SystemError) {
    try write()
    l1 += [UInt64](repeating: 0, count: count - l1.count)
    var bytes = [UInt8](repeating: 0, count: count * 8)
    for (number, entry) in l1.enumerated() { bytes.setBig(entry, at: number * 8) }
    let clusters = (bytes.count + header.clusterSize - 1) / header.clusterSize
    header.l1Offset = try refcounts.allocateBehind(clusters)
    header.l1Count = count
    try refcounts.write()
    try file.write(bytes, at: header.l1Offset)
    try file.flush()
  }
}
