import Chipset
import Engine
import Host
import KVM
import Synchronization

/// What other threads want of one processor, and how they get its attention.
final class ProcessorMailbox: Sendable {
  struct State: Sendable {
    /// Non-maskable interrupts; two at most, one of which can only be delivered at once.
    var nonMaskable: UInt8 = 0
    var hasSystemManagement = false
    /// INIT came.
    var isReset = false
    /// The vector of a SIPI that came.
    var startup: UInt8?
    /// The vector of an interrupt of an I/O APIC outside that has ended.
    var ended: UInt8?
    /// Vectors of synthetic interrupts that have ended.
    var endedSynthetic = VectorSet()
    /// A synthetic timer is due.
    var hasTimer = false
    /// The flag of the processor, while there is one.
    var attention: AttentionFlag?
  }

  let state = Monitor(State())
  /// Counts everything that may wake the processor.
  let changes = ChangeCounter()
  /// Somebody rang the doorbell.
  private let isRung = Atomic(false)

  /// Notes an event and calls the processor's attention, awake or asleep.
  func post(_ event: ProcessorEvent) {
    state.withLock { state in
      switch event {
      case .interrupt: break
      case .nonMaskable: state.nonMaskable = min(state.nonMaskable + 1, 2)
      case .initialize: state.isReset = true
      case .startup(let vector): state.startup = vector
      case .endOfInterrupt(let vector): state.ended = vector
      case .endOfSynthetic(let vector): state.endedSynthetic.insert(vector)
      case .systemManagement: state.hasSystemManagement = true
      }
      state.attention?.ring()
    }
    changes.add()
  }

  /// Notes that a synthetic timer is due.
  func postTimer() {
    state.withLock { state in
      state.hasTimer = true
      state.attention?.ring()
    }
    changes.add()
  }

  /// Takes the vectors of synthetic interrupts that have ended, and that a timer is due.
  func takeSynthetic() -> VectorSet {
    state.withLock { state in
      defer { (state.endedSynthetic, state.hasTimer) = (VectorSet(), false) }
      return state.endedSynthetic
    }
  }

  /// Connects the processor's flag, or takes it away.
  func attach(_ flag: AttentionFlag?) { state.withLock { $0.attention = flag } }

  /// Whether the processor must leave its translated code: what waits is more than an interrupt.
  ///
  /// - Parameter latchesReset: Whether INIT has to wait, as in system-management mode.
  func wantsToStop(latchesReset: Bool) -> Bool {
    if isRung.load(ordering: .acquiring) { return true }
    return state.withLock { state in
      state.isReset && !latchesReset || state.startup != nil || state.ended != nil
        || state.hasTimer || !state.endedSynthetic.isEmpty
    }
  }

  var hasNonMaskable: Bool { state.withLock { $0.nonMaskable != 0 } }

  /// Takes a non-maskable interrupt. While they are blocked, one waits and more are lost.
  func takeNonMaskable(isBlocked: Bool = false) -> Bool {
    state.withLock { state in
      guard !isBlocked, state.nonMaskable != 0 else {
        state.nonMaskable = min(state.nonMaskable, 1)
        return false
      }
      state.nonMaskable -= 1
      return true
    }
  }

  /// Sets how many non-maskable interrupts wait.
  func setNonMaskable(_ count: UInt8) { state.withLock { $0.nonMaskable = min(count, 2) } }

  /// Whether a system-management interrupt waits.
  var hasSystemManagement: Bool {
    get { state.withLock { $0.hasSystemManagement } }
    set { state.withLock { $0.hasSystemManagement = newValue } }
  }

  /// Takes a system-management interrupt.
  func takeSystemManagement() -> Bool {
    state.withLock { state in
      defer { state.hasSystemManagement = false }
      return state.hasSystemManagement
    }
  }

  /// Takes the vector of an outside I/O APIC's interrupt that has ended.
  func takeEnd() -> UInt8? {
    state.withLock { state in
      defer { state.ended = nil }
      return state.ended
    }
  }

  /// Takes a ring of the doorbell.
  func takeRing() -> Bool { isRung.exchange(false, ordering: .acquiring) }

  /// Rings for the calling thread's own processor, whose flag is given. Takes no lock: signal
  /// handlers may call it.
  func ring(own flag: AttentionFlag) {
    isRung.store(true, ordering: .releasing)
    flag.ring()
    changes.add()
  }
}

extension ProcessorMailbox: Doorbell {
  func ring() {
    isRung.store(true, ordering: .releasing)
    state.withLock { $0.attention?.ring() }
    changes.add()
  }
}
