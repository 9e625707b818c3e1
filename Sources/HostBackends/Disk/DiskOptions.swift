public import Host

/// A disk as people ask for it.
public struct DiskOptions: Codable, Hashable, Sendable {
  /// How the disk's bytes lie in its file.
  public enum Format: String, Codable, CaseIterable, Sendable {
    case raw
    case qcow2
  }

  /// A file or a block device.
  public var path: String
  public var isReadOnly = false
  /// Without one it is recognised.
  public var format: Format?
  /// What the guest reads as the disk's serial number.
  public var serial: String?
  public var cache = DiskFile.Cache.writeback
  /// What the guest writes is thrown away at its end.
  public var isEphemeral = false

  public init(
    path: String, isReadOnly: Bool = false, format: Format? = nil, serial: String? = nil
  ) {
    (self.path, self.isReadOnly, self.format, self.serial) = (path, isReadOnly, format, serial)
  }
}

/// Why a disk cannot be used.
public indirect enum DiskError: Error, Hashable {
  case system(SystemError)
  /// Not a file with bytes at offsets: a directory, a terminal, a pipe.
  case notADisk
  /// Less than a sector.
  case empty
  /// A format that Apus cannot read, by its name.
  case foreignFormat(String)
  case qcow2(QCOW2Fault)
  /// A file that the image needs behind it.
  case backing(path: String, DiskError)
  /// Somebody else uses the disk, in a way that forbids this one.
  case inUse(by: LockHolder?)
}

/// A program that has locked a file.
public struct LockHolder: Hashable, Sendable {
  public let process: Int
  public let name: String

  public init(process: Int, name: String) { (self.process, self.name) = (process, name) }
}
