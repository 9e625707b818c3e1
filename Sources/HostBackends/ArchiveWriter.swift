import CArchive
import Glibc

/// One thing in an archive for the guest's file system; everything belongs to root.
struct ArchiveEntry {
  enum Content {
    case file([UInt8], mode: UInt32)
    case directory(mode: UInt32)
    case link(to: String)
    case device(major: UInt32, minor: UInt32, mode: UInt32)
  }

  let path: String
  let content: Content
}

/// Writes cpio archives in the format the Linux kernel unpacks ("newc"), not compressed: the
/// guest's processor would have to undo it.
enum ArchiveWriter {
  /// Bytes that an entry takes beside its contents, at most: header, path twice, padding.
  private static func overhead(_ entry: ArchiveEntry) -> Int { 512 + 2 * entry.path.utf8.count }

  /// The archive with `entries` in their order; `nil` when libarchive refuses one.
  static func archive(_ entries: [ArchiveEntry]) -> [UInt8]? {
    let capacity = entries.reduce(4096) { $0 + size($1) + overhead($1) }
    var isComplete = false
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      isComplete = unsafe write(entries, to: buffer, count: &count)
    }
    return isComplete ? bytes : nil
  }

  private static func size(_ entry: ArchiveEntry) -> Int {
    switch entry.content {
    case .file(let bytes, _): bytes.count
    case .link(let target): target.utf8.count
    case .directory, .device: 0
    }
  }

  private static func write(
    _ entries: [ArchiveEntry], to buffer: UnsafeMutableBufferPointer<UInt8>, count: inout Int
  ) -> Bool {
    guard let archive = unsafe archive_write_new() else { return false }
    defer { unsafe archive_write_free(archive) }
    unsafe archive_write_set_format_cpio_newc(archive)
    unsafe archive_write_add_filter_none(archive)
    // Without it, zeros up to a multiple of a tape block would follow.
    unsafe archive_write_set_bytes_in_last_block(archive, 1)
    guard
      unsafe archive_write_open_memory(archive, buffer.baseAddress, buffer.count, &count)
        == ARCHIVE_OK
    else { return false }
    for entry in entries where unsafe !write(entry, to: archive) { return false }
    return unsafe archive_write_close(archive) == ARCHIVE_OK
  }

  private static func write(_ entry: ArchiveEntry, to archive: OpaquePointer) -> Bool {
    guard let header = unsafe archive_entry_new() else { return false }
    defer { unsafe archive_entry_free(header) }
    unsafe archive_entry_set_pathname(header, entry.path)
    unsafe archive_entry_set_nlink(header, 1)
    unsafe archive_entry_set_size(header, la_int64_t(size(entry)))
    switch entry.content {
    case .file(_, let mode): unsafe archive_entry_set_mode(header, S_IFREG | mode)
    case .directory(let mode): unsafe archive_entry_set_mode(header, S_IFDIR | mode)
    case .link(let target):
      unsafe archive_entry_set_mode(header, S_IFLNK | 0o777)
      unsafe archive_entry_set_symlink(header, target)
    case .device(let major, let minor, let mode):
      unsafe archive_entry_set_mode(header, S_IFCHR | mode)
      unsafe archive_entry_set_rdevmajor(header, dev_t(major))
      unsafe archive_entry_set_rdevminor(header, dev_t(minor))
    }
    guard unsafe archive_write_header(archive, header) == ARCHIVE_OK else { return false }
    guard case .file(let bytes, _) = entry.content, !bytes.isEmpty else { return true }
    return unsafe bytes.withUnsafeBytes { contents in
      unsafe archive_write_data(archive, contents.baseAddress, contents.count) == contents.count
    }
  }
}
