public import Host

/// A disk as people ask for it.
public struct DiskOptions: Codable, Hashable, Sendable {
  /// How the disk's bytes lie in its file.
  public enum Format: String, Codable, CaseIterable, Sendable {
    case raw
  }

  /// A file or a block device.
  public var path: String
  public var isReadOnly: Bool
  public var format: Format?
  /// What the guest reads as the disk's serial number.
  public var serial: String?

  public init(
    path: String, isReadOnly: Bool = false, format: Format? = nil, serial: String? = nil
  ) {
    (self.path, self.isReadOnly, self.format, self.serial) = (path, isReadOnly, format, serial)
  }
}

/// Why a disk cannot be used.
public enum DiskError: Error, Hashable {
  case system(SystemError)
  /// Not a file with bytes at offsets: a directory, a terminal, a pipe.
  case notADisk
  /// Less than a sector.
  case empty
}
