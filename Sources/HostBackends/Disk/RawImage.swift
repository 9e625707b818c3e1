public import DeviceModel
import Glibc
public import Host

/// A disk whose bytes are those of a file or of a block device.
public final class RawImage: DiskImage {
  public let capacity: UInt64
  public var isReadOnly: Bool { file.isReadOnly }
  public var canDiscard: Bool { !isReadOnly }
  let file: DiskFile
  /// Whether nobody has said that the disk is raw, so that it must go on looking like that.
  private let isGuess: Bool

  /// - Parameters:
  ///   - capacity: in bytes; whole sectors of it count.
  ///   - isGuess: the guest may not write what would make the file one of another format, which
  ///     could name any file of the host's as its backing file.
  public init(_ file: DiskFile, capacity: UInt64, isGuess: Bool = false) {
    self.file = file
    self.capacity = capacity - capacity % UInt64(BlockRequest.sector)
    self.isGuess = isGuess
  }

  public func read(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    try file.read(pieces, at: offset)
  }

  public func write(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    guard isGuess && offset == 0 else { return try file.write(pieces, at: offset) }
    // A copy, because the guest could change its memory after the look at it.
    var head = [UInt8](repeating: 0, count: min(BlockRequest.sector, pieces.byteCount))
    head.copy(from: pieces)
    if DiskFormat(head) != nil { throw SystemError(call: "pwrite", errno: EPERM) }
    try file.write(head, at: 0)
    let rest = pieces.slice(head.count, pieces.byteCount - head.count)
    try file.write(rest, at: UInt64(head.count))
  }

  /// Whether a request's bytes must be looked at before they are written.
  func mustLook(at request: BlockRequest) -> Bool {
    isReadOnly && request.operation == .write || isGuess && request.offset == 0
  }

  public func flush() throws(SystemError) { try file.flush() }
  public func discard(_ range: Range<UInt64>) throws(SystemError) { try file.discard(range) }

  public func writeZeroes(_ range: Range<UInt64>) throws(SystemError) {
    try file.writeZeroes(range)
  }

  public func nextData(from offset: UInt64) throws(SystemError) -> UInt64 {
    try min(file.nextData(from: offset) ?? capacity, capacity)
  }
}
