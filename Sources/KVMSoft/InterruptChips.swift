import Chipset
import DeviceModel
import Host
import KVM

/// The interrupt controllers of a machine, the buses they are on, and the thread that drives their
/// timers.
final class InterruptChips: Sendable {
  let controller: InterruptController
  let ports = Bus()
  let memory = Bus()
  private let timers: TimerThread

  init(mailboxes: [ProcessorMailbox]) throws(KVMError) {
    timers = TimerThread()
    controller = InterruptController(
      processors: mailboxes.count, clock: SystemClock(), timers: timers.queue
    ) { processor, event in mailboxes[processor].post(event) }
    do throws(AttachError) {
      try controller.attach(ports: ports, memory: memory)
    } catch {
      preconditionFailure("the interrupt controllers' addresses overlap: \(error)")
    }
    do throws(SystemError) {
      try timers.start()
    } catch {
      throw .refused(call: error.call, errno: error.errno)
    }
  }

  /// Ends the timers' thread.
  func stop() { timers.stop() }
}

/// A thread that sleeps until the first alarm of its queue, and sets it off.
final class TimerThread: Sendable {
  private struct State: Sendable {
    var isEarlier = false
    var isStopping = false
  }

  private let state: Monitor<State>
  private let thread = Monitor<HostThread?>(nil)
  let queue: TimerQueue

  init() {
    let state = Monitor(State())
    self.state = state
    queue = TimerQueue { state.change { $0.isEarlier = true } }
  }

  /// Starts the thread, which knows the queue alone.
  func start() throws(SystemError) {
    let (state, queue) = (state, queue)
    let thread = try HostThread(named: "timers", stackSize: 1 << 20) {
      Self.serve(queue, state)
    }
    self.thread.withLock { $0 = thread }
  }

  func stop() {
    state.change { $0.isStopping = true }
    let thread = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    thread?.join()
  }

  private static func serve(_ queue: TimerQueue, _ state: Monitor<State>) {
    HostThread.useExactTimers()
    while true {
      queue.advance(to: HostClock.nanoseconds)
      let isStopping = state.wait(until: queue.deadline) { state -> Bool? in
        defer { state.isEarlier = false }
        return state.isStopping ? true : state.isEarlier ? false : nil
      }
      if isStopping == true { return }
    }
  }
}
