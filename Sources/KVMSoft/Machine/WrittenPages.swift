import Glibc
import Host
import KVM
import KVMABI
import Synchronization

/// A processor's ring of dirty pages: the processor fills it, the client collects, and the machine
/// takes back what was collected. Reference: KVM API, section 8.29.
final class WrittenPages: Sendable {
  private struct State: Sendable {
    var ring: DirtyRing
    /// Where the client does not look itself: what collects for it.
    var collector: DirtyRing
    var memory: RingMemory
    /// Pages that came when even the reserve was used up.
    var late: [DirtyPage] = []
  }

  private final class RingMemory: Sendable {
    let mapping: Mapping
    init(_ mapping: consuming Mapping) { self.mapping = mapping }

    func ring() -> DirtyRing {
      unsafe DirtyRing(base: mapping.base, size: mapping.size)
    }
  }

  private let state: Mutex<State>
  /// In bytes.
  private let size: Int

  init(size: Int) throws(SystemError) {
    let memory = RingMemory(try Mapping(anonymous: size))
    state = Mutex(State(ring: memory.ring(), collector: memory.ring(), memory: memory))
    self.size = size
  }

  /// Moves the ring, while it is empty, to where KVM has it in a processor's file.
  func share(_ file: borrowing FileDescriptor) throws(SystemError) {
    let memory = RingMemory(
      try Mapping(shared: file, size: size, protection: 3, offset: DirtyRing.offset))
    state.withLock { state in
      (state.ring, state.collector) = (memory.ring(), memory.ring())
      state.memory = memory
    }
  }

  /// Adds a page.
  ///
  /// - Returns: Whether the processor shall stop.
  func append(_ page: DirtyPage) -> Bool {
    state.withLock { state in
      if !state.late.isEmpty || !state.ring.append(page) { state.late.append(page) }
      return Self.isFull(state.ring)
    }
  }

  /// Whether the processor must not run before the next reset.
  var isFull: Bool { state.withLock { Self.isFull($0.ring) } }

  private static func isFull(_ ring: DirtyRing) -> Bool {
    ring.count >= ring.capacity - DirtyRing.reserve
  }

  func collect() -> [DirtyPage] { state.withLock { $0.collector.collect() } }

  /// Takes back the places that were collected; the pages that they name.
  func takeBack() -> [DirtyPage] {
    state.withLock { state in
      let pages = state.ring.takeBack()
      let fitting = state.late.prefix { state.ring.append($0) }.count
      state.late.removeFirst(fitting)
      return pages
    }
  }
}

/// The rings of a machine's processors (KVM_CAP_DIRTY_LOG_RING).
struct DirtyRings: Sendable {
  /// Bytes of each; 0 without any.
  private(set) var size = 0
  private(set) var all: [WrittenPages] = []

  /// The error number with which KVM refuses a size; `nil` for one that is taken.
  mutating func enable(size wanted: UInt32) -> Int32? {
    guard wanted >= 4096, wanted & (wanted - 1) == 0 else { return EINVAL }
    guard Int(wanted) <= DirtyRing.largest else { return E2BIG }
    guard size == 0 else { return EINVAL }
    size = Int(wanted)
    return nil
  }

  mutating func add(_ ring: WrittenPages) { all.append(ring) }
}
