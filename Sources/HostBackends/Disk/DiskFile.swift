import DeviceModel
import Glibc
public import Host

/// What a disk's bytes are kept in: a file or a block device, and how much of it is written when.
public final class DiskFile: Sendable {
  /// How writes reach the disk of the host.
  public enum Cache: String, Codable, CaseIterable, Sendable {
    /// Past the host's cache, where the guest's memory is aligned for that.
    case none
    /// When the guest flushes, or the host wants to.
    case writeback
    /// When the host wants to: flushing does nothing. A loss of power destroys the disk.
    case unsafe
  }

  public let isReadOnly: Bool
  private let file: FileDescriptor
  /// The same file, opened past the cache.
  private let direct: FileDescriptor?
  /// The numbers of both, or of the first twice.
  private let numbers: (cached: CInt, direct: CInt)
  private let isUnsafe: Bool

  /// What direct transfers begin and end at; no disk of today wants more.
  private static let alignment = 4096

  public init(_ file: consuming FileDescriptor, isReadOnly: Bool, cache: Cache = .writeback) {
    self.isReadOnly = isReadOnly
    isUnsafe = cache == .unsafe
    // Not every file system can; then the cache is used.
    let number = file.rawValue
    if cache == .none, let direct = try? file.openedDirectly(isReadOnly ? O_RDONLY : O_RDWR) {
      numbers = (number, direct.rawValue)
      self.direct = consume direct
    } else {
      numbers = (number, number)
      direct = nil
    }
    self.file = file
  }

  /// In bytes.
  public func size() throws(SystemError) -> UInt64 { try file.diskSize() ?? 0 }

  /// What the file takes on the host's disk, in bytes.
  func allocatedSize() throws(SystemError) -> UInt64 { try file.allocatedSize() }

  /// Fills the pieces with what is at `offset`; zeros beyond the file's end.
  func read(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    if Self.isAligned(pieces, offset), let result = try direct?.read(pieces, at: offset) {
      return result
    }
    try file.read(pieces, at: offset)
  }

  func write(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    if Self.isAligned(pieces, offset), let result = try direct?.write(pieces, at: offset) {
      return result
    }
    try file.write(pieces, at: offset)
  }

  /// The descriptor for such a transfer: past the cache or through it.
  func descriptor(for pieces: [HostPiece], at offset: UInt64) -> CInt {
    Self.isAligned(pieces, offset) ? numbers.direct : numbers.cached
  }

  func bytes(at offset: UInt64, count: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withPiece { piece throws(SystemError) in try read([piece], at: offset) }
    return bytes
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(SystemError) {
    var bytes = bytes
    try bytes.withPiece { piece throws(SystemError) in try write([piece], at: offset) }
  }

  func flush() throws(SystemError) {
    if !isUnsafe { try file.synchronize() }
  }

  /// Gives the range's space back, if the file system can.
  func discard(_ range: Range<UInt64>) throws(SystemError) {
    do throws(SystemError) {
      try file.punchHole(range)
    } catch {
      guard error.errno == EOPNOTSUPP else { throw error }
    }
  }

  func writeZeroes(_ range: Range<UInt64>) throws(SystemError) {
    do throws(SystemError) {
      try file.punchHole(range)
    } catch {
      guard error.errno == EOPNOTSUPP else { throw error }
      try file.writeZeroes(range)
    }
  }

  func truncate(to size: UInt64) throws(SystemError) { try file.truncate(to: size) }

  /// Where the next bytes are that are not a hole; `nil` if there are none.
  func nextData(from offset: UInt64) throws(SystemError) -> UInt64? {
    do throws(SystemError) {
      return try file.nextData(from: offset)
    } catch {
      // What knows of no holes has none.
      guard error.errno == EINVAL else { throw error }
      return offset
    }
  }

  private static func isAligned(_ pieces: [HostPiece], _ offset: UInt64) -> Bool {
    offset % UInt64(alignment) == 0
      && pieces.allSatisfy { piece in
        unsafe Int(bitPattern: piece.address) % alignment == 0 && piece.count % alignment == 0
      }
  }
}
