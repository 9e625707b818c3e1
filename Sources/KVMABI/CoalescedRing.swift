import CLinux
public import KVM
import Synchronization

/// The writes that wait, in a page that is both sides' (`struct kvm_coalesced_mmio_ring`).
///
/// One side appends while the other takes; among themselves, each side's threads take turns.
@safe
public struct CoalescedRing: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer

  private static let header = MemoryLayout<UInt64>.size
  private static let stride = MemoryLayout<kvm_coalesced_mmio>.stride
  /// Places, of which one always stays empty.
  public static let capacity = UInt32((size - header) / stride)

  /// Bytes of a ring: a page.
  public static let size = 4096

  /// A ring at `base`, which must outlive it.
  public init(base: UnsafeMutableRawPointer) { unsafe self.base = unsafe base }

  /// The ring on page `number` of the shared memory: what KVM_CAP_COALESCED_MMIO tells.
  public init?(in area: RunArea, page number: Int) {
    guard let base = unsafe area.page(number) else { return nil }
    unsafe self.base = base
  }

  private var first: UInt32 {
    get { unsafe base.load(as: UInt32.self) % Self.capacity }
    nonmutating set { unsafe base.storeBytes(of: newValue, as: UInt32.self) }
  }

  private var last: UInt32 {
    get { unsafe base.load(fromByteOffset: 4, as: UInt32.self) % Self.capacity }
    nonmutating set { unsafe base.storeBytes(of: newValue, toByteOffset: 4, as: UInt32.self) }
  }

  /// Adds a write; `false` when there is no room, or when the other side has put the end elsewhere.
  public func append(_ write: CoalescedWrite) -> Bool {
    let place = unsafe base.load(fromByteOffset: 4, as: UInt32.self)
    let next = (place &+ 1) % Self.capacity
    guard place < Self.capacity, next != first else { return false }
    let offset = Self.header + Int(place) * Self.stride
    unsafe base.storeBytes(
      of: kvm_coalesced_mmio(write), toByteOffset: offset, as: kvm_coalesced_mmio.self)
    atomicMemoryFence(ordering: .releasing)
    last = next
    return true
  }

  /// Takes all writes, oldest first.
  public func collect() -> [CoalescedWrite] {
    var writes: [CoalescedWrite] = []
    while first != last {
      atomicMemoryFence(ordering: .acquiring)
      let offset = Self.header + Int(first) * Self.stride
      let entry = unsafe base.load(fromByteOffset: offset, as: kvm_coalesced_mmio.self)
      writes.append(CoalescedWrite(entry))
      first = (first + 1) % Self.capacity
    }
    return writes
  }
}
