public import DeviceModel
import Glibc
public import Host

/// A disk whose bytes are those of a file or of a block device.
public final class RawImage: DiskImage {
  public let capacity: UInt64
  public let isReadOnly: Bool
  public var canDiscard: Bool { !isReadOnly }
  private let file: FileDescriptor

  /// - Parameter capacity: in bytes; whole sectors of it count.
  public init(_ file: consuming FileDescriptor, capacity: UInt64, isReadOnly: Bool) {
    self.file = file
    self.capacity = capacity - capacity % UInt64(BlockRequest.sector)
    self.isReadOnly = isReadOnly
  }

  public func read(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    try file.read(pieces, at: offset)
  }

  public func write(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    try file.write(pieces, at: offset)
  }

  public func flush() throws(SystemError) { try file.synchronize() }

  public func discard(_ range: Range<UInt64>) throws(SystemError) {
    // Not every file system has holes; then the space stays taken.
    do throws(SystemError) {
      try file.punchHole(range)
    } catch {
      guard error.errno == EOPNOTSUPP else { throw error }
    }
  }

  public func writeZeroes(_ range: Range<UInt64>) throws(SystemError) {
    do throws(SystemError) {
      try file.punchHole(range)
    } catch {
      guard error.errno == EOPNOTSUPP else { throw error }
      try file.writeZeroes(range)
    }
  }
}
