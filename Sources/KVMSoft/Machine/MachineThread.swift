import DeviceModel
import Host
import Synchronization

/// The one thread that a machine has beside its processors': it sleeps until a timer is due or an
/// eventfd is written.
final class MachineThread: Sendable {
  /// What the thread knows; the machine itself would keep itself alive by it.
  private struct Parts: Sendable {
    let events: EventSet
    let alarm: HostTimer
    let halt: HostEvent
    let queue: TimerQueue
    /// When the alarm goes off; all ones for never.
    let armed: ArmedAlarm
    let watches: Watches
  }

  /// The alarm's time, and the handlers by tag; each behind a lock of its own.
  private final class ArmedAlarm: Sendable { let time = Mutex(UInt64.max) }
  private final class Watches: Sendable {
    let table = Mutex<(next: UInt64, handlers: [UInt64: @Sendable () -> Void])>((2, [:]))
  }

  private static let haltTag: UInt64 = 0
  private static let alarmTag: UInt64 = 1

  private let parts: Parts
  private let thread = Mutex<HostThread?>(nil)

  init() throws(SystemError) {
    let (alarm, armed) = (try HostTimer(), ArmedAlarm())
    let queue = TimerQueue(schedule: { deadline in
      armed.time.withLock { time in
        guard deadline < time else { return }
        time = deadline
        alarm.arm(at: deadline)
      }
    })
    parts = Parts(
      events: try EventSet(), alarm: alarm, halt: try HostEvent(), queue: queue, armed: armed,
      watches: Watches())
    try parts.events.add(parts.halt.descriptor.rawValue, tag: Self.haltTag)
    try parts.events.add(alarm.descriptor.rawValue, tag: Self.alarmTag)
    let parts = parts
    let started = try HostThread(named: "machine", stackSize: 1 << 20) { Self.serve(parts) }
    thread.withLock { $0 = started }
  }

  var queue: TimerQueue { parts.queue }

  /// Ends the thread, and waits for that.
  func stop() {
    parts.halt.signal()
    let thread = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    thread?.join()
  }

  /// Calls `handler` on the thread whenever the descriptor can be read; the tag is for
  /// ``unwatch(_:tag:)``.
  func watch(
    _ descriptor: CInt, _ handler: @escaping @Sendable () -> Void
  ) throws(SystemError) -> UInt64 {
    let tag = parts.watches.table.withLock { table in
      defer { table.next += 1 }
      table.handlers[table.next] = handler
      return table.next
    }
    do throws(SystemError) {
      try parts.events.add(descriptor, tag: tag)
    } catch {
      parts.watches.table.withLock { $0.handlers[tag] = nil }
      throw error
    }
    return tag
  }

  /// Ends a watch: the handler is not running when this returns, and is not called again.
  func unwatch(_ descriptor: CInt, tag: UInt64) {
    parts.events.remove(descriptor)
    parts.watches.table.withLock { $0.handlers[tag] = nil }
  }

  private static func serve(_ parts: Parts) {
    HostThread.useExactTimers()
    while let tags = try? parts.events.wait() {
      for tag in tags {
        switch tag {
        case haltTag: return
        case alarmTag: fireAlarms(parts)
        default: parts.watches.table.withLock { $0.handlers[tag]?() }
        }
      }
    }
  }

  private static func fireAlarms(_ parts: Parts) {
    parts.alarm.clear()
    parts.queue.advance(to: HostClock.nanoseconds)
    parts.armed.time.withLock { time in
      time = parts.queue.deadline ?? .max
      if time != .max { parts.alarm.arm(at: time) }
    }
  }
}
