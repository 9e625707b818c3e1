internal import CLinux
import Glibc

/// Memory obtained from the kernel, given back when its owner lets go of it.
@safe
public struct Mapping: ~Copyable, @unchecked Sendable {
  public let base: UnsafeMutableRawPointer
  /// In bytes, a multiple of the page size.
  public let size: Int

  /// Private zeroed memory that takes host memory only as it is touched.
  public init(anonymous size: Int) throws(SystemError) {
    try self.init(
      size: size, protection: PROT_READ | PROT_WRITE,
      flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, descriptor: -1)
  }

  /// Has the kernel use large pages where it has any: for memory that is used all over.
  public borrowing func preferLargePages() { unsafe _ = madvise(base, size, MADV_HUGEPAGE) }

  /// A stack: private memory whose lowest page cannot be touched, so that running over its end is a
  /// fault and nothing worse.
  public init(stackOf size: Int) throws(SystemError) {
    try self.init(anonymous: size)
    unsafe _ = mprotect(base, 4096, PROT_NONE)
  }

  /// A view of a file from `offset` on, shared with its other views.
  public init(
    shared descriptor: borrowing FileDescriptor, size: Int, protection: CInt, offset: Int = 0
  ) throws(SystemError) {
    try self.init(
      size: size, protection: protection, flags: MAP_SHARED, descriptor: descriptor.rawValue,
      offset: offset)
  }

  private init(
    size: Int, protection: CInt, flags: CInt, descriptor: CInt, offset: Int = 0
  ) throws(SystemError) {
    let address = unsafe mmap(nil, size, protection, flags, descriptor, offset)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw SystemError(call: "mmap", errno: ENOMEM)
    }
    unsafe base = address
    self.size = size
  }

  deinit { unsafe munmap(base, size) }
}

extension FileDescriptor {
  /// A file without a name that lives in memory, `size` bytes of zeros.
  public static func memory(named name: String, size: Int) throws(SystemError) -> FileDescriptor {
    let descriptor = try checked(unsafe apus_memfd_create(name, 0), "memfd_create")
    let file = FileDescriptor(owning: descriptor)
    if ftruncate(file.rawValue, size) != 0 {
      throw SystemError(call: "ftruncate", errno: ENOSPC)
    }
    return file
  }
}
