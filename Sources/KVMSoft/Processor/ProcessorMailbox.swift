import Chipset
import Engine
import Host
import KVM

/// What other threads want of one processor, and how they get its attention.
final class ProcessorMailbox: Sendable {
  struct State: Sendable {
    /// Somebody rang the doorbell.
    var isRung = false
    /// There may be an interrupt to acknowledge.
    var hasInterrupt = false
    var hasNonMaskable = false
    /// INIT came.
    var isReset = false
    /// The vector of a SIPI that came.
    var startup: UInt8?
    /// The flag of the processor, while there is one.
    var attention: AttentionFlag?
  }

  let state = Monitor(State())

  /// Notes an event and calls the processor's attention, awake or asleep.
  func post(_ event: ProcessorEvent) {
    state.change { state in
      switch event {
      case .interrupt: state.hasInterrupt = true
      case .nonMaskable: state.hasNonMaskable = true
      case .initialize: state.isReset = true
      case .startup(let vector): state.startup = vector
      // There is no system-management mode to enter.
      case .systemManagement: return
      }
      state.attention?.ring()
    }
  }

  /// Connects the processor's flag, or takes it away.
  func attach(_ flag: AttentionFlag?) { state.withLock { $0.attention = flag } }

  /// Whether the processor must leave its translated code: what waits is more than an interrupt.
  var wantsToStop: Bool {
    state.withLock { $0.isRung || $0.isReset || $0.startup != nil }
  }

  /// Takes a non-maskable interrupt.
  func takeNonMaskable() -> Bool {
    state.withLock { state in
      defer { state.hasNonMaskable = false }
      return state.hasNonMaskable
    }
  }

  /// Takes a ring of the doorbell.
  func takeRing() -> Bool {
    state.withLock { state in
      defer { state.isRung = false }
      return state.isRung
    }
  }
}

extension ProcessorMailbox: Doorbell {
  func ring() {
    state.change { state in
      state.isRung = true
      state.attention?.ring()
    }
  }
}
