import Host
import KVM

/// The end of a run, and everyone who must hear of it.
final class RunControl: Sendable {
  private struct State: Sendable {
    var end: RunEnd?
    var doorbells: [any Doorbell] = []
    /// How many processors have been made.
    var ready = 0
  }

  private let state = Monitor(State())
  private let onEnd: @Sendable () -> Void

  init(onEnd: @escaping @Sendable () -> Void) { self.onEnd = onEnd }

  /// How the run ended; `nil` while it goes on.
  var end: RunEnd? { state.withLock { $0.end } }

  /// Adds a processor, to be stopped at the end of the run. It asks for ``end`` itself afterwards.
  func add(_ doorbell: any Doorbell) { state.withLock { $0.doorbells.append(doorbell) } }

  /// Waits until all of `count` processors have been added: the first may send the others messages
  /// with its first instruction.
  func waitForProcessors(_ count: Int) {
    state.change { $0.ready += 1 }
    _ = state.wait { $0.ready >= count || $0.end != nil ? true : nil }
  }

  /// Ends the run and stops the processors; the first end of several counts. Waits for nobody, so a
  /// device may call it with its lock held.
  func finish(_ end: RunEnd) {
    let doorbells = state.change { state -> [any Doorbell]? in
      guard state.end == nil else { return nil }
      state.end = end
      return state.doorbells
    }
    guard let doorbells else { return }
    for doorbell in doorbells { doorbell.ring() }
    onEnd()
  }

  /// Has each processor stop for a moment.
  func interrupt() {
    for doorbell in state.withLock({ $0.doorbells }) { doorbell.ring() }
  }

  /// Waits for the end of the run.
  func wait(until deadline: UInt64?) -> RunEnd? { state.wait(until: deadline) { $0.end } }
}
