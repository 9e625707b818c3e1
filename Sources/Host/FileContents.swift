internal import CLinux
import Glibc

/// A regular file, read whole into memory of its own.
///
/// Read and not mapped: a mapped file that somebody shortens ends the process that looks at it.
@safe
public struct FileContents: ~Copyable, Sendable {
  /// What a path that should name a file names instead.
  public enum Kind: Hashable, Sendable {
    case directory
    case device
    /// A pipe or a socket.
    case stream
  }

  public enum Failure: Error, Hashable {
    case system(SystemError)
    case notAFile(Kind)
    case tooLarge(size: Int, limit: Int)
  }

  /// In bytes.
  public let count: Int
  private let memory: Mapping

  /// Reads the file at `path`, if it has at most `limit` bytes.
  public init(path: String, limit: Int) throws(Failure) {
    let file = try Self.open(path)
    let size = try Self.size(of: file)
    if size > limit { throw .tooLarge(size: size, limit: limit) }
    let memory = try Self.memory(max(size, 1))
    count = try unsafe Self.read(
      file, into: UnsafeMutableRawBufferPointer(start: memory.base, count: size))
    self.memory = memory
  }

  /// Runs `body` with the file's bytes.
  public borrowing func withBytes<Result, Failure>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafe UnsafeRawBufferPointer(start: memory.base, count: count)
    return try unsafe body(bytes.bytes)
  }

  private static func open(_ path: String) throws(Failure) -> FileDescriptor {
    do throws(SystemError) {
      // Not blocking: a pipe's other end may never come.
      return try .open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    } catch {
      throw .system(error)
    }
  }

  private static func memory(_ size: Int) throws(Failure) -> Mapping {
    do throws(SystemError) {
      return try Mapping(anonymous: size)
    } catch {
      throw .system(error)
    }
  }

  private static func size(of file: borrowing FileDescriptor) throws(Failure) -> Int {
    var status = stat()
    guard unsafe fstat(file.rawValue, &status) == 0 else {
      throw .system(SystemError(call: "fstat", errno: EIO))
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return status.st_size
    case S_IFDIR: throw .notAFile(.directory)
    case S_IFCHR, S_IFBLK: throw .notAFile(.device)
    default: throw .notAFile(.stream)
    }
  }

  /// Fills `buffer`, or as much of it as the file still has; returns how much that is.
  private static func read(
    _ file: borrowing FileDescriptor, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Failure) -> Int {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      let count = unsafe apus_read(file.rawValue, base + done, buffer.count - done)
      if count < 0 { throw .system(SystemError(call: "read", errno: CInt(-count))) }
      if count == 0 { break }
      done += count
    }
    return done
  }
}
