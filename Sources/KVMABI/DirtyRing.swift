import CLinux
public import KVM
import Synchronization

/// A processor's ring of dirty pages (`struct kvm_dirty_gfn`), seen by one of its two sides: one
/// fills it and takes places back, the other collects.
///
/// The memory must outlive it.
@safe
public struct DirtyRing: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  public let capacity: Int
  /// How many places were collected so far, or filled.
  private var next = 0
  /// Of those filled, how many places were taken back.
  private var reset = 0

  /// Where the ring begins in what a processor shares: page 64 (KVM_DIRTY_LOG_PAGE_OFFSET).
  public static let offset = 64 * 4096
  private static let stride = MemoryLayout<kvm_dirty_gfn>.stride
  /// Bytes of the largest (KVM_DIRTY_RING_MAX_ENTRIES).
  public static let largest = 65536 * stride
  /// Places that are kept for what a processor writes before it stops
  /// (KVM_DIRTY_RING_RSVD_ENTRIES).
  public static let reserve = 64
  /// KVM_DIRTY_GFN_F_DIRTY and KVM_DIRTY_GFN_F_RESET.
  private static let (isDirty, isCollected): (UInt32, UInt32) = (1, 2)

  public init(base: UnsafeMutableRawPointer, size: Int) {
    unsafe self.base = base
    capacity = size / Self.stride
  }

  private func entry(_ index: Int) -> UnsafeMutableRawPointer {
    unsafe base + index % capacity * Self.stride
  }

  private func flags(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe entry(index).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  // MARK: The side that collects

  /// Takes the pages that wait, oldest first; their places are free after
  /// ``DirtyTrackingMachine/resetDirtyRings()``.
  public mutating func collect() -> [DirtyPage] {
    var pages: [DirtyPage] = []
    while pages.count < capacity,
      unsafe flags(next).pointee.load(ordering: .acquiring) == Self.isDirty
    {
      unsafe pages.append(DirtyPage(entry(next).load(as: kvm_dirty_gfn.self)))
      unsafe flags(next).pointee.store(Self.isCollected, ordering: .releasing)
      next += 1
    }
    return pages
  }

  // MARK: The side that fills

  /// How many places are filled.
  public var count: Int { next - reset }

  /// Adds a page; `false` when there is no place.
  public mutating func append(_ page: DirtyPage) -> Bool {
    guard count < capacity else { return false }
    unsafe entry(next).storeBytes(of: page.slot, toByteOffset: 4, as: UInt32.self)
    unsafe entry(next).storeBytes(of: page.offset, toByteOffset: 8, as: UInt64.self)
    unsafe flags(next).pointee.store(Self.isDirty, ordering: .releasing)
    next += 1
    return true
  }

  /// Takes back the places that were collected; the pages that they name.
  public mutating func takeBack() -> [DirtyPage] {
    var pages: [DirtyPage] = []
    while count > 0,
      unsafe flags(reset).pointee.load(ordering: .acquiring) & Self.isCollected != 0
    {
      unsafe pages.append(DirtyPage(entry(reset).load(as: kvm_dirty_gfn.self)))
      unsafe flags(reset).pointee.store(0, ordering: .releasing)
      reset += 1
    }
    return pages
  }
}
