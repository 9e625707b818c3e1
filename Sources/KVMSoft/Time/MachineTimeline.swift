import Host
import KVM
import Synchronization

/// A machine's own time: nanoseconds that its client can set, which all its processors show.
final class MachineTimeline: Sendable {
  private struct State: Sendable {
    /// What is added to the host's monotonic nanoseconds; wraps below zero.
    var offset: UInt64
    /// Where the guest keeps the time of day at which its clock began; zero for nowhere.
    var wallClock: UInt64 = 0
    /// What all processors' pages count from, since one was first filled in.
    var base: ClockBase?
  }

  private let state: Mutex<State>
  /// Counts changes, so that processors show the new time when they run next.
  private let changes = Atomic<UInt64>(0)

  /// Time zero is `start`, in the host's monotonic nanoseconds.
  init(start: UInt64) { state = Mutex(State(offset: 0 &- start)) }

  var generation: UInt64 { changes.load(ordering: .acquiring) }

  /// The guest's time now.
  var nanoseconds: UInt64 { state.withLock { HostClock.nanoseconds &+ $0.offset } }

  /// A moment that all processors' clocks count from, so that they agree to the tick.
  var base: ClockBase {
    state.withLock { state in
      if let base = state.base { return base }
      let base = ClockBase(
        hostTimeStamp: HostProcessor.timeStamp,
        nanoseconds: HostClock.nanoseconds &+ state.offset)
      state.base = base
      return base
    }
  }

  /// The time of day, in nanoseconds since 1970, at which the guest's clock showed zero.
  var wallStart: UInt64 { HostClock.wallNanoseconds &- nanoseconds }

  var wallClockAddress: UInt64 {
    get { state.withLock { $0.wallClock } }
    set { state.withLock { $0.wallClock = newValue } }
  }

  /// The clock as KVM_GET_CLOCK tells it.
  var clock: MachineClock {
    let timeStamp = HostProcessor.timeStamp
    return MachineClock(
      nanoseconds: nanoseconds, realTime: HostClock.wallNanoseconds, hostTimeStamp: timeStamp,
      isTimeStampStable: true)
  }

  /// Takes a clock as KVM_SET_CLOCK gives it: with a time of day, what passed since is added.
  func set(_ clock: MachineClock) {
    var nanoseconds = clock.nanoseconds
    if let realTime = clock.realTime {
      let now = HostClock.wallNanoseconds
      // Time never runs backwards, whatever the time of day does.
      if now > realTime { nanoseconds &+= now - realTime }
    }
    state.withLock { state in
      state.offset = nanoseconds &- HostClock.nanoseconds
      state.base = nil
    }
    changes.add(1, ordering: .releasing)
  }
}

/// The same moment by the host's counter and by the machine's clock.
struct ClockBase {
  var hostTimeStamp: UInt64
  var nanoseconds: UInt64
}
