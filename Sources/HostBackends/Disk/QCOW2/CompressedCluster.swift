import CArchive

/// A cluster that was stored compressed; libarchive undoes that.
enum CompressedCluster {
  /// The cluster's `size` bytes; `nil` when the stream is damaged.
  static func unpack(
    _ packed: [UInt8], _ compression: QCOW2Header.Compression, size: Int
  ) -> [UInt8]? {
    switch compression {
    case .deflate:
      // The stream has neither head nor tail, which libarchive wants as gzip has them. It does not
      // compare the tail with the contents.
      let head: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]
      return unpack(head + packed + [UInt8](repeating: 0, count: 8), ARCHIVE_FILTER_GZIP, size)
    case .zstd:
      // The sectors behind the frame belong to others.
      guard let length = ZstdFrame.length(packed) else { return nil }
      return unpack(Array(packed[..<length]), ARCHIVE_FILTER_ZSTD, size)
    }
  }

  private static func unpack(_ stream: [UInt8], _ filter: CInt, _ size: Int) -> [UInt8]? {
    guard let reader = ArchiveReader(filter: filter) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(size)
    do throws(ArchiveReader.Failure) {
      try unsafe reader.read(stream.span.bytes) { piece in
        let count = min(piece.byteCount, size - bytes.count)
        unsafe piece.withUnsafeBytes { source in
          unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: source[..<count]))
        }
        return bytes.count < size
      }
    } catch {
      // What is behind a whole cluster is nobody's business.
    }
    return bytes.count == size ? bytes : nil
  }
}

/// The outer form of a zstd frame.
///
/// Reference: RFC 8878, section 3.1.1.
enum ZstdFrame {
  /// More memory than any cluster needs to be unpacked.
  private static let windowLimit: UInt64 = 8 << 20

  /// How many bytes the frame takes that `bytes` begin with; `nil` unless it is a whole one.
  static func length(_ bytes: [UInt8]) -> Int? {
    guard bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd]), bytes.count > 6 else { return nil }
    let flags = bytes[4]
    let isSingle = flags & 0x20 != 0
    let sizeField = [isSingle ? 1 : 0, 2, 4, 8][Int(flags >> 6)]
    let dictionaryField = [0, 1, 2, 4][Int(flags & 3)]
    if !isSingle && window(bytes[5]) > windowLimit { return nil }
    var place = 5 + (isSingle ? 0 : 1) + dictionaryField + sizeField
    while place + 3 <= bytes.count {
      let head = (0..<3).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
      let kind = head >> 1 & 3
      place += 3 + (kind == 1 ? 1 : head >> 3)
      if kind == 3 { return nil }
      if head & 1 != 0 {
        place += flags & 4 != 0 ? 4 : 0
        return place <= bytes.count ? place : nil
      }
    }
    return nil
  }

  private static func window(_ descriptor: UInt8) -> UInt64 {
    let base = UInt64(1) << (10 + UInt64(descriptor >> 3))
    return base + base / 8 * UInt64(descriptor & 7)
  }
}
