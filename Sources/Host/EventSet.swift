internal import CLinux
import Glibc

/// Descriptors that one thread waits for, and that any thread adds and removes.
///
/// Unlike ``EventLoop``, whose handlers are its own thread's.
public final class EventSet: Sendable {
  private let descriptor: FileDescriptor

  public init() throws(SystemError) {
    descriptor = FileDescriptor(owning: try checked(apus_epoll(), "epoll_create1"))
  }

  /// Starts telling, by `tag`, that a descriptor can be read.
  public func add(_ watched: CInt, tag: UInt64) throws(SystemError) {
    _ = try checked(apus_epoll_add(descriptor.rawValue, watched, tag), "epoll_ctl")
  }

  /// Stops it; the tag may still come out of a wait in progress.
  public func remove(_ watched: CInt) { _ = apus_epoll_remove(descriptor.rawValue, watched) }

  /// Waits until something can be read; the tags, a few at a time.
  public func wait() throws(SystemError) -> [UInt64] {
    let (set, limit) = (descriptor.rawValue, 16)
    var result: CInt = 0
    let tags = unsafe [UInt64](unsafeUninitializedCapacity: limit) { buffer, initialized in
      result = unsafe apus_epoll_wait(set, buffer.baseAddress, CUnsignedInt(limit))
      initialized = max(Int(result), 0)
    }
    _ = try checked(result, "epoll_wait")
    return tags
  }
}

/// Somebody else's eventfd, kept open by a descriptor of our own.
public final class EventDescriptor: Sendable {
  private let descriptor: FileDescriptor

  /// Fails with EBADF for no descriptor, and EINVAL for anything but an eventfd.
  public init(duplicating other: CInt) throws(SystemError) {
    guard try checked(apus_is_eventfd(other), "eventfd") != 0 else {
      throw SystemError(call: "eventfd", errno: EINVAL)
    }
    descriptor = try .duplicate(of: other)
  }

  public var rawValue: CInt { descriptor.rawValue }

  /// Adds one to its count.
  public func signal() {
    var one: UInt64 = 1
    // A full counter has been raised too.
    _ = unsafe apus_write(descriptor.rawValue, &one, 8)
  }

  /// Sets its count to zero, never waiting; returns whether there was one.
  public func take() -> Bool { apus_eventfd_take(descriptor.rawValue) != 0 }

  /// Whether `other` is the same eventfd.
  public func isSame(as other: CInt) -> Bool { apus_same_file(descriptor.rawValue, other) != 0 }
}
