import DeviceModel
import Host

/// The thread that wakes a machine's timed devices.
final class DeviceTimers: Sendable {
  private struct State: Sendable {
    var isEarlier = false
    var isStopping = false
  }

  private let state: Monitor<State>
  let queue: TimerQueue
  private let clock: any Clock

  init(clock: any Clock) {
    let state = Monitor(State())
    self.state = state
    self.clock = clock
    queue = TimerQueue { state.change { $0.isEarlier = true } }
  }

  /// Starts serving alarms, until ``stop()``.
  func start() throws(SystemError) -> HostThread {
    try HostThread(named: "devices", stackSize: 1 << 20) { self.serve() }
  }

  func stop() { state.change { $0.isStopping = true } }

  private func serve() {
    while true {
      queue.advance(to: clock.now)
      let isStopping = state.wait(until: queue.deadline) { state -> Bool? in
        defer { state.isEarlier = false }
        return state.isStopping ? true : state.isEarlier ? false : nil
      }
      if isStopping == true { return }
    }
  }
}
