import Host
import KVM
import Synchronization

/// Writes of the guest that wait for the processor's next exit, in KVM's ring
/// (`struct kvm_coalesced_mmio_ring`), which the client empties.
@safe
final class CoalescedRing: @unchecked Sendable {
  /// One page: two indices, and as many entries of 24 bytes as fit.
  static let size = 4096
  private static let capacity: UInt32 = 170

  private struct State: Sendable {
    var zones: [CoalescedZone] = []
    var isShared = false
  }
  private let state = Mutex(State())
  /// How many zones there are, so that machines without any pay nothing.
  private let count = Atomic(0)
  // Used under the lock only; the client's side is one index, which is checked.
  private let ownPage: Mapping
  private var sharedPages: Mapping?
  private var page: UnsafeMutableRawPointer

  init() throws(SystemError) {
    ownPage = try Mapping(anonymous: Self.size)
    unsafe page = ownPage.base
  }

  /// Moves the ring to the third page of a file of `size` bytes, the first time.
  func share(_ file: borrowing FileDescriptor, size: Int) throws(SystemError) {
    let isFirst = state.withLock { state in
      defer { state.isShared = true }
      return !state.isShared
    }
    guard isFirst, size >= 3 * Self.size else { return }
    let shared = try Mapping(shared: file, size: size, protection: 3)
    let third = unsafe shared.base + 2 * Self.size
    sharedPages = consume shared
    state.withLock { _ in unsafe page = third }
  }

  func add(_ zone: CoalescedZone) {
    state.withLock { $0.zones.append(zone) }
    count.add(1, ordering: .relaxed)
  }

  /// Ends all zones that hold the whole of `zone`.
  func remove(_ zone: CoalescedZone) {
    let ended = state.withLock { state in
      let before = state.zones.count
      state.zones.removeAll {
        $0.space == zone.space && Self.holds($0, zone.address, UInt64(zone.size))
      }
      return before - state.zones.count
    }
    count.subtract(ended, ordering: .relaxed)
  }

  private static func holds(_ zone: CoalescedZone, _ address: UInt64, _ size: UInt64) -> Bool {
    address >= zone.address && size <= UInt64(zone.size)
      && address - zone.address <= UInt64(zone.size) - size
  }

  /// Puts a write into the ring; returns `false` when no zone has it or the ring is full.
  func take(_ value: UInt64, to address: UInt64, size: Int, in space: AddressSpace) -> Bool {
    guard count.load(ordering: .relaxed) != 0 else { return false }
    return state.withLock { state in
      guard
        state.zones.contains(where: {
          $0.space == space && Self.holds($0, address, UInt64(size))
        })
      else { return false }
      let first = unsafe page.load(as: UInt32.self)
      let last = unsafe page.load(fromByteOffset: 4, as: UInt32.self)
      guard last < Self.capacity, (last + 1) % Self.capacity != first else { return false }
      let entry = unsafe page + 8 + Int(last) * 24
      unsafe entry.storeBytes(of: address, as: UInt64.self)
      unsafe entry.storeBytes(of: UInt32(size), toByteOffset: 8, as: UInt32.self)
      unsafe entry.storeBytes(of: space == .ports ? 1 : 0, toByteOffset: 12, as: UInt32.self)
      unsafe entry.storeBytes(of: value, toByteOffset: 16, as: UInt64.self)
      // x86 keeps the order of stores: the index tells of a complete entry.
      unsafe page.storeBytes(of: (last + 1) % Self.capacity, toByteOffset: 4, as: UInt32.self)
      return true
    }
  }

  /// Takes what waits, as a client does.
  func collect() -> [CoalescedWrite] {
    state.withLock { _ in
      var writes: [CoalescedWrite] = []
      var first = unsafe page.load(as: UInt32.self) % Self.capacity
      let last = unsafe page.load(fromByteOffset: 4, as: UInt32.self) % Self.capacity
      while first != last {
        let entry = unsafe page + 8 + Int(first) * 24
        writes.append(
          CoalescedWrite(
            unsafe entry.load(fromByteOffset: 12, as: UInt32.self) == 1 ? .ports : .memory,
            address: unsafe entry.load(as: UInt64.self),
            size: unsafe entry.load(fromByteOffset: 8, as: UInt32.self),
            value: unsafe entry.load(fromByteOffset: 16, as: UInt64.self)))
        first = (first + 1) % Self.capacity
      }
      unsafe page.storeBytes(of: first, as: UInt32.self)
      return writes
    }
  }
}
