import CLinux
public import KVM
import Synchronization

/// A processor's ring of dirty pages, seen by whoever collects them (`struct kvm_dirty_gfn`).
///
/// The memory must outlive it.
@safe
public struct DirtyRing: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  private let capacity: Int
  private var next = 0

  /// Where the ring begins in what a processor shares: page 64 (KVM_DIRTY_LOG_PAGE_OFFSET).
  public static let offset = 64 * 4096
  private static let stride = MemoryLayout<kvm_dirty_gfn>.stride
  /// KVM_DIRTY_GFN_F_DIRTY and KVM_DIRTY_GFN_F_RESET.
  private static let (dirty, reset): (UInt32, UInt32) = (1, 2)

  public init(base: UnsafeMutableRawPointer, size: Int) {
    unsafe self.base = base
    capacity = size / Self.stride
  }

  /// Takes the pages that wait, oldest first; their places are free after
  /// ``DirtyTrackingMachine/resetDirtyRings()``.
  public mutating func collect() -> [DirtyPage] {
    var pages: [DirtyPage] = []
    while pages.count < capacity {
      let entry = unsafe base + next * Self.stride
      let flags = unsafe entry.assumingMemoryBound(to: Atomic<UInt32>.self)
      guard unsafe flags.pointee.load(ordering: .acquiring) == Self.dirty else { break }
      unsafe pages.append(DirtyPage(entry.load(as: kvm_dirty_gfn.self)))
      unsafe flags.pointee.store(Self.reset, ordering: .releasing)
      next = (next + 1) % capacity
    }
    return pages
  }
}
