import CArchive

/// The compressed kernel inside a bzImage, which the host unpacks faster than the guest would.
///
/// The build of Linux puts the unpacked size behind the stream, four bytes, little-endian; gzip's
/// own format ends that way already.
public struct KernelPayload: Hashable, Sendable {
  public enum Compression: Hashable, Sendable {
    case none
    case gzip
    case xz
    case lzma
    case lz4
    case zstd
    case bzip2
  }

  public enum Failure: Error, Hashable {
    /// What libarchive says of the stream.
    case damaged(String)
    /// libarchive was built without this compression.
    case unsupported
    /// More or fewer bytes came out than the stream's end announces.
    case wrongSize(announced: Int)
    /// The receiver wanted no more.
    case stopped
  }

  public let compression: Compression
  /// How many bytes come out.
  public let size: Int

  /// No kernel is larger than this.
  private static let sizeLimit = 1 << 30

  /// Recognises a payload; `nil` for a compression that only the guest can undo.
  public init?(_ payload: RawSpan) {
    guard payload.byteCount > 8, let compression = Compression(payload) else { return nil }
    self.compression = compression
    let end = payload.byteCount - 4
    let announced = unsafe payload.unsafeLoadUnaligned(fromByteOffset: end, as: UInt32.self)
    size = compression == .none ? payload.byteCount : Int(announced)
    if size == 0 || size > Self.sizeLimit { return nil }
  }

  /// Gives the unpacked kernel in order to `take`, which returns whether it wants more.
  public func unpack(_ payload: RawSpan, _ take: (RawSpan) -> Bool) throws(Failure) {
    guard let filter = compression.filter else {
      if !take(payload) { throw .stopped }
      return
    }
    guard let reader = ArchiveReader(filter: filter) else { throw .unsupported }
    let tail = compression == .gzip ? 0 : 4
    var room = size
    var isTooLong = false
    do throws(ArchiveReader.Failure) {
      try reader.read(payload.extracting(droppingLast: tail)) { piece in
        isTooLong = piece.byteCount > room
        if isTooLong { return false }
        room -= piece.byteCount
        return take(piece)
      }
    } catch {
      switch error {
      case .damaged(let reason): throw .damaged(reason)
      case .stopped: throw isTooLong ? .wrongSize(announced: size) : .stopped
      }
    }
    if room != 0 { throw .wrongSize(announced: size) }
  }
}

extension KernelPayload.Compression {
  /// Recognises a stream by its first bytes, which outnumber every pattern.
  fileprivate init?(_ stream: RawSpan) {
    let head = (0..<8).map { unsafe stream.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    let match = Self.signatures.first { head.starts(with: $0.bytes) }
    guard let match else { return nil }
    self = match.compression
  }

  /// libarchive's number for it; `nil` when there is nothing to undo.
  fileprivate var filter: CInt? {
    switch self {
    case .none: nil
    case .gzip: ARCHIVE_FILTER_GZIP
    case .xz: ARCHIVE_FILTER_XZ
    case .lzma: ARCHIVE_FILTER_LZMA
    case .lz4: ARCHIVE_FILTER_LZ4
    case .zstd: ARCHIVE_FILTER_ZSTD
    case .bzip2: ARCHIVE_FILTER_BZIP2
    }
  }

  private static let signatures: [(bytes: [UInt8], compression: Self)] = [
    ([0x7f, 0x45, 0x4c, 0x46], .none),
    ([0x1f, 0x8b], .gzip),
    ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], .xz),
    ([0x5d, 0, 0], .lzma),
    ([0x02, 0x21, 0x4c, 0x18], .lz4),
    ([0x04, 0x22, 0x4d, 0x18], .lz4),
    ([0x28, 0xb5, 0x2f, 0xfd], .zstd),
    ([0x42, 0x5a, 0x68], .bzip2),
  ]
}
