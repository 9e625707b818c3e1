import DeviceModel
import Host

/// What a disk image is.
public struct DiskDescription: Codable, Hashable, Sendable {
  public let path: String
  public let format: DiskOptions.Format
  /// What a guest sees, in bytes.
  public let virtualSize: UInt64
  /// What the file takes on the host's disk, in bytes.
  public let actualSize: UInt64
  public private(set) var version: UInt32?
  public private(set) var clusterSize: Int?
  public private(set) var compression: String?
  public private(set) var backingFile: String?
  public private(set) var backingFormat: String?
  public private(set) var snapshots: [QCOW2Snapshot] = []
  /// Whether the counts of its clusters may be wrong.
  public private(set) var isDirty = false
  public private(set) var isCorrupt = false

  /// Looks at the image alone, not at what is behind it; others may be using it.
  public init(_ path: String) throws(DiskError) {
    var opener = DiskOpener()
    (opener.isReadOnly, opener.isLocked) = (true, false)
    let file = try opener.file(path)
    let head = try DiskOpener.asDiskError { () throws(SystemError) in
      try file.bytes(at: 0, count: 8)
    }
    self.path = path
    actualSize = try DiskOpener.asDiskError { () throws(SystemError) in try file.allocatedSize() }
    switch DiskFormat(head) {
    case .foreign(let name): throw .foreignFormat(name)
    case nil:
      format = .raw
      let size = try DiskOpener.asDiskError { () throws(SystemError) in try file.size() }
      virtualSize = size - size % UInt64(BlockRequest.sector)
    case .qcow2:
      let header = try QCOW2Header(file)
      (format, virtualSize) = (.qcow2, header.size)
      try take(header, file)
    }
  }

  private mutating func take(_ header: QCOW2Header, _ file: DiskFile) throws(DiskError) {
    (version, clusterSize) = (header.version, header.clusterSize)
    compression = header.compression == .deflate ? "zlib" : "zstd"
    (backingFile, backingFormat) = (header.backingFile, header.backingFormat)
    isDirty = header.features.contains(.dirty)
    isCorrupt = header.features.contains(.corrupt)
    snapshots = try DiskOpener.asDiskError { () throws(SystemError) in
      try QCOW2Snapshot.all(header, in: file)
    }
  }
}
