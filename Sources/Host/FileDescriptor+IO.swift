internal import CLinux
import Glibc

extension FileDescriptor {
  /// Opens a file; `flags` are open(2)'s.
  public static func open(
    _ path: String, _ flags: CInt, mode: UInt32 = 0o644
  ) throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: try checked(unsafe apus_open(path, flags, mode), "open"))
  }

  /// Opens the null device as each standard stream that our parent has left closed, so that no file
  /// of ours takes its number.
  public static func openMissingStandardStreams() {
    for number in STDIN_FILENO...STDERR_FILENO {
      let copy = apus_duplicate(number)
      if copy >= 0 { close(copy) } else { _ = unsafe apus_open("/dev/null", O_RDWR, 0) }
    }
  }

  /// A second descriptor for the same open file, for those who may not close the first.
  public static func duplicate(of descriptor: CInt) throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: try checked(apus_duplicate(descriptor), "dup"))
  }

  /// Reads at most `count` bytes; none at the end of the file.
  public borrowing func read(upTo count: Int) throws(SystemError) -> [UInt8] {
    let descriptor = rawValue
    var result = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      result = unsafe apus_read(descriptor, buffer.baseAddress, buffer.count)
      initialized = max(result, 0)
    }
    _ = try checked(result, "read")
    return bytes
  }

  /// Writes as much of `bytes` as the file takes now; returns how much that was.
  public borrowing func write(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int {
    let descriptor = rawValue
    let result = unsafe bytes.withUnsafeBytes { buffer in
      unsafe apus_write(descriptor, buffer.baseAddress, buffer.count)
    }
    return try checked(result, "write")
  }

  /// Writes all of `bytes`, waiting as long as it takes.
  public borrowing func writeAll(_ bytes: [UInt8]) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      do throws(SystemError) {
        rest = rest.dropFirst(try write(rest))
      } catch {
        // Whoever shares the open file may have made it non-blocking.
        guard error.errno == EAGAIN else { throw error }
        var entry = pollfd(fd: rawValue, events: CShort(POLLOUT), revents: 0)
        _ = try checked(unsafe apus_poll(&entry, 1, -1), "poll")
      }
    }
  }
}
