import Host
import KVM
import KVMABI
import Synchronization

/// Writes of the guest that wait for the processor's next exit, in a ring that the client empties
/// (KVM_REGISTER_COALESCED_MMIO).
final class CoalescedWrites: Sendable {
  private struct State: Sendable {
    var zones: [CoalescedZone] = []
    var ring: CoalescedRing
    var sharedPages: SharedPages?
  }

  /// The client's file, mapped.
  private final class SharedPages: Sendable {
    let mapping: Mapping
    init(_ mapping: consuming Mapping) { self.mapping = mapping }
  }

  private let state: Mutex<State>
  /// How many zones there are, so that machines without any pay nothing.
  private let count = Atomic(0)
  /// Where the ring is until a client has a place for it.
  private let ownPage: Mapping

  init() throws(SystemError) {
    ownPage = try Mapping(anonymous: CoalescedRing.size)
    state = unsafe Mutex(State(ring: CoalescedRing(base: ownPage.base)))
  }

  /// Moves the ring to the third page of a file of `size` bytes, the first time.
  func share(_ file: borrowing FileDescriptor, size: Int) throws(SystemError) {
    guard size >= 3 * CoalescedRing.size, state.withLock({ $0.sharedPages == nil }) else { return }
    let pages = SharedPages(try Mapping(shared: file, size: size, protection: 3))
    state.withLock { state in
      guard state.sharedPages == nil else { return }
      state.sharedPages = pages
      state.ring = unsafe CoalescedRing(base: pages.mapping.base + 2 * CoalescedRing.size)
    }
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
      let isWanted = state.zones.contains {
        $0.space == space && Self.holds($0, address, UInt64(size))
      }
      guard isWanted else { return false }
      return state.ring.append(
        CoalescedWrite(space, address: address, size: UInt32(size), value: value))
    }
  }

  /// Takes what waits, as a client does.
  func collect() -> [CoalescedWrite] { state.withLock { $0.ring.collect() } }
}
