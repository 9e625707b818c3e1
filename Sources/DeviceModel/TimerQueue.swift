import Synchronization

/// The alarms of a machine, and when the first of them goes off.
///
/// Some thread sleeps until ``deadline`` and calls ``advance(to:)``; the queue wakes that thread
/// through its `wake` function when the first deadline moves forward.
public final class TimerQueue: Sendable {
  struct Entry {
    var deadline: UInt64 = .max
    var fire: (@Sendable (UInt64) -> Void)?
  }
  struct State {
    var entries: [Entry] = []
    var earliest: UInt64 = .max
    /// The thread to wake is inside ``TimerQueue/advance(to:)`` and looks at the deadline after.
    var isAdvancing = false
  }

  let state = Mutex(State())
  let schedule: @Sendable (UInt64) -> Void

  /// - Parameter wake: called, on any thread and possibly with a device's lock held, when there is
  ///   an earlier deadline than before. It must only wake a thread, never call a device.
  public convenience init(wake: @escaping @Sendable () -> Void) {
    self.init(schedule: { _ in wake() })
  }

  /// - Parameter schedule: as `wake` above, and given the deadline. Calls of several threads may
  ///   come in any order: the earliest one counts.
  public init(schedule: @escaping @Sendable (UInt64) -> Void) { self.schedule = schedule }

  /// The earliest deadline of all alarms, in monotonic nanoseconds; `nil` when none is set.
  public var deadline: UInt64? {
    state.withLock { $0.earliest == .max ? nil : $0.earliest }
  }

  /// Sets off every alarm that was due up to `now`. Read ``deadline`` afterwards: what changes
  /// it meanwhile does not call `wake`.
  public func advance(to now: UInt64) {
    let due = state.withLock { state -> [@Sendable (UInt64) -> Void] in
      guard state.earliest <= now else { return [] }
      var due: [@Sendable (UInt64) -> Void] = []
      state.earliest = .max
      for index in state.entries.indices {
        if state.entries[index].deadline <= now {
          state.entries[index].deadline = .max
          if let fire = state.entries[index].fire { due.append(fire) }
        }
        state.earliest = min(state.earliest, state.entries[index].deadline)
      }
      state.isAdvancing = !due.isEmpty
      return due
    }
    for fire in due { fire(now) }
    if !due.isEmpty { state.withLock { $0.isAdvancing = false } }
  }

  /// A new alarm, not set; it stays with the queue.
  public func makeAlarm() -> Alarm {
    state.withLock {
      $0.entries.append(Entry())
      return Alarm(queue: self, index: $0.entries.count - 1)
    }
  }
}

/// One alarm of a ``TimerQueue``.
public final class Alarm: Sendable {
  private let queue: TimerQueue
  private let index: Int
  /// The deadline last told, so that the usual "still the same" costs no lock.
  private let told = Atomic<UInt64>(.max)

  init(queue: TimerQueue, index: Int) { (self.queue, self.index) = (queue, index) }

  /// Sets what happens at the deadline; the function is given the time.
  public func onFire(_ fire: @escaping @Sendable (UInt64) -> Void) {
    let forgetting: @Sendable (UInt64) -> Void = { [weak self] now in
      // What fires forgets its deadline in the queue; forget here too, so it can be set again.
      self?.told.store(.max, ordering: .relaxed)
      fire(now)
    }
    queue.state.withLock { [index] in $0.entries[index].fire = forgetting }
  }

  /// Sets the alarm to `deadline`, in monotonic nanoseconds, or takes it back.
  ///
  /// Calls for one alarm must not overlap: make them under the lock of the device it belongs to.
  public func schedule(at deadline: UInt64?) {
    let deadline = deadline ?? .max
    guard told.load(ordering: .relaxed) != deadline else { return }
    told.store(deadline, ordering: .relaxed)
    let isEarlier = queue.state.withLock { [index] state in
      state.entries[index].deadline = deadline
      // A deadline taken back leaves `earliest` too early: that costs one idle wake-up at most.
      guard deadline < state.earliest else { return false }
      state.earliest = deadline
      return !state.isAdvancing
    }
    if isEarlier { queue.schedule(deadline) }
  }
}
