internal import CLinux
import Glibc

/// Transfers to and from files that the kernel carries out by itself (io_uring).
///
/// One thread waits for what is done; others ask, one at a time.
@safe
public final class TransferRing: @unchecked Sendable {
  // Set once; the kernel and the two sides share what it points to as C says.
  private let ring: OpaquePointer

  /// What is done, by the number it was asked for with: how many bytes, or an error number below
  /// zero.
  public struct Result: Hashable, Sendable {
    public let tag: UInt64
    public let count: Int32
  }

  /// - Parameter entries: transfers that run at the same time; a power of two. `nil` where the host
  ///   has no such thing for us.
  public init?(entries: Int) {
    guard let ring = unsafe apus_ring_open(UInt32(entries)) else { return nil }
    unsafe self.ring = ring
  }

  deinit { unsafe apus_ring_close(ring) }

  /// Asks for a transfer between a file and memory, which stays valid until it is done; returns
  /// whether the kernel has taken it.
  @unsafe
  public func transfer(
    _ descriptor: CInt, writing: Bool, _ pieces: [iovec], at offset: UInt64,
    tag: UInt64
  ) -> Bool {
    unsafe apus_ring_transfer(
      ring, descriptor, writing ? 1 : 0, pieces, UInt32(pieces.count), offset, tag) == 0
  }

  /// Has the waiting thread get `tag`; returns whether it will.
  public func wake(tag: UInt64) -> Bool { unsafe apus_ring_wake(ring, tag) == 0 }

  /// Waits for the next transfer that is done; `nil` when there will be none any more.
  public func wait() -> Result? {
    var tag: UInt64 = 0
    var count: Int32 = 0
    guard unsafe apus_ring_wait(ring, &tag, &count) == 0 else { return nil }
    return Result(tag: tag, count: count)
  }
}
