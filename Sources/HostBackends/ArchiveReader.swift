import CArchive

/// A compressed stream being undone by libarchive, piece by piece.
@safe
struct ArchiveReader: ~Copyable {
  enum Failure: Error, Hashable {
    /// What libarchive says of the stream.
    case damaged(String)
    case stopped
  }

  private let archive: OpaquePointer

  /// A reader of one layer of compression, given by libarchive's number (`ARCHIVE_FILTER_…`);
  /// `nil` when libarchive was built without it.
  ///
  /// libarchive would guess the filter by itself, and then guess again at what comes out of it.
  init?(filter: CInt) {
    guard let archive = unsafe archive_read_new() else { return nil }
    guard unsafe archive_read_support_format_raw(archive) == ARCHIVE_OK,
      unsafe archive_read_append_filter(archive, filter) == ARCHIVE_OK
    else {
      unsafe archive_read_free(archive)
      return nil
    }
    unsafe self.archive = unsafe archive
  }

  deinit { unsafe archive_read_free(archive) }

  /// Gives the stream's contents in order to `take`, which returns whether it wants more.
  func read(_ stream: RawSpan, _ take: (RawSpan) -> Bool) throws(Failure) {
    let result = unsafe stream.withUnsafeBytes { bytes -> Result<Void, Failure> in
      Result { () throws(Failure) in try unsafe read(bytes, take) }
    }
    try result.get()
  }

  private func read(
    _ stream: UnsafeRawBufferPointer, _ take: (RawSpan) -> Bool
  ) throws(Failure) {
    try unsafe check(archive_read_open_memory(archive, stream.baseAddress, stream.count))
    var entry: OpaquePointer?
    try unsafe check(archive_read_next_header(archive, &entry))
    var expected: la_int64_t = 0
    while true {
      var block: UnsafeRawPointer?
      var (count, offset) = (0, la_int64_t(0))
      let status = unsafe archive_read_data_block(archive, &block, &count, &offset)
      if status == ARCHIVE_EOF { return }
      try check(status)
      // Compressed streams have no holes.
      if offset != expected { throw .damaged("a gap in the stream") }
      expected += la_int64_t(count)
      let piece = unsafe UnsafeRawBufferPointer(start: block, count: count)
      if unsafe !take(piece.bytes) { throw .stopped }
    }
  }

  private func check(_ status: CInt) throws(Failure) {
    if status == ARCHIVE_OK || status == ARCHIVE_WARN { return }
    let text = unsafe archive_error_string(archive)
    throw .damaged(unsafe text.map { unsafe String(cString: $0) } ?? "")
  }
}
