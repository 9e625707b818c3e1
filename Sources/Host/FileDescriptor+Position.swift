internal import CLinux
import Glibc

extension FileDescriptor {
  /// Fills the whole of `buffer` with what is at `offset`; zeros beyond the file's end.
  @unsafe
  public borrowing func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(SystemError) {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      let count = try checked(
        unsafe apus_pread(
          rawValue, base + done, buffer.count - done, Int64(offset) + Int64(done)), "pread")
      if count == 0 {
        unsafe memset(base + done, 0, buffer.count - done)
        return
      }
      done += count
    }
  }

  /// Writes the whole of `buffer` to `offset`.
  @unsafe
  public borrowing func write(
    _ buffer: UnsafeRawBufferPointer, at offset: UInt64
  ) throws(SystemError) {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      done += try checked(
        unsafe apus_pwrite(
          rawValue, base + done, buffer.count - done, Int64(offset) + Int64(done)), "pwrite")
    }
  }

  /// Returns when what was written is where it survives a loss of power (fdatasync(2)).
  public borrowing func synchronize() throws(SystemError) {
    _ = try checked(apus_fdatasync(rawValue), "fdatasync")
  }

  /// Frees the space of a range, which reads as zeros then; EOPNOTSUPP where that is not possible.
  public borrowing func punchHole(_ range: Range<UInt64>) throws(SystemError) {
    _ = try checked(
      apus_punch_hole(
        rawValue, Int64(range.lowerBound), Int64(range.upperBound - range.lowerBound)),
      "fallocate")
  }

  /// Writes zeros over a range.
  public borrowing func writeZeroes(_ range: Range<UInt64>) throws(SystemError) {
    let zeroes = [UInt8](repeating: 0, count: 1 << 16)
    var next = range.lowerBound
    while next < range.upperBound {
      let count = min(UInt64(zeroes.count), range.upperBound - next)
      var failure: SystemError?
      unsafe zeroes.withUnsafeBytes { buffer in
        do throws(SystemError) {
          try unsafe write(UnsafeRawBufferPointer(rebasing: buffer.prefix(Int(count))), at: next)
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      next += count
    }
  }

  /// A new file in `folder` that has no name, and is gone when it is closed.
  public static func temporary(in folder: String) throws(SystemError) -> FileDescriptor {
    var template = Array((folder + "/apus-XXXXXX").utf8CString)
    let number = unsafe mkstemp(&template)
    if number < 0 { throw SystemError(call: "mkstemp", errno: errno) }
    unsafe unlink(template)
    return FileDescriptor(owning: number)
  }

  /// Opens the file once more for transfers past the page cache; EINVAL where there are none.
  public borrowing func openedDirectly(_ flags: CInt) throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: try checked(apus_open_direct(rawValue, flags), "open"))
  }

  /// Makes a file longer, with zeros, or shorter.
  public borrowing func truncate(to size: UInt64) throws(SystemError) {
    _ = try checked(apus_truncate(rawValue, Int64(size)), "ftruncate")
  }

  /// Where the next bytes from `offset` on are that are not a hole; `nil` if there are none.
  public borrowing func nextData(from offset: UInt64) throws(SystemError) -> UInt64? {
    let place = apus_next_data(rawValue, Int64(offset))
    return place == -Int64(ENXIO) ? nil : UInt64(try checked(place, "lseek"))
  }

  /// Locks the file for who has opened it; returns whether nobody else has locked it.
  public borrowing func tryLock(exclusively isExclusive: Bool) throws(SystemError) -> Bool {
    let result = apus_try_lock(rawValue, isExclusive ? 1 : 0)
    if result == -EWOULDBLOCK { return false }
    _ = try checked(result, "flock")
    return true
  }

  /// How many bytes a file or a block device has; `nil` for what has no bytes at offsets.
  public borrowing func diskSize() throws(SystemError) -> UInt64? {
    var status = stat()
    guard unsafe fstat(rawValue, &status) == 0 else {
      throw SystemError(call: "fstat", errno: EIO)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return UInt64(status.st_size)
    case S_IFBLK: return UInt64(try checked(apus_block_size(rawValue), "ioctl"))
    default: return nil
    }
  }

  /// How many bytes of the file the file system keeps.
  public borrowing func allocatedSize() throws(SystemError) -> UInt64 {
    var status = stat()
    guard unsafe fstat(rawValue, &status) == 0 else {
      throw SystemError(call: "fstat", errno: EIO)
    }
    return UInt64(status.st_blocks) * 512
  }
}
