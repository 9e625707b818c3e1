internal import CLinux

/// A flag that any thread raises and an ``EventLoop`` notices.
public final class HostEvent: Sendable {
  public let descriptor: FileDescriptor

  public init() throws(SystemError) {
    descriptor = FileDescriptor(owning: try checked(apus_eventfd(), "eventfd"))
  }

  /// Raises the flag; raising it again changes nothing.
  public func signal() {
    let one: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
    // A full counter is a raised flag too, so there is no failure to report.
    _ = try? descriptor.write(one[...])
  }

  /// Lowers the flag.
  public func clear() { _ = try? descriptor.read(upTo: 8) }
}

/// An alarm on the monotonic clock that any thread sets and an ``EventLoop`` notices.
public final class HostTimer: Sendable {
  public let descriptor: FileDescriptor

  public init() throws(SystemError) {
    descriptor = FileDescriptor(owning: try checked(apus_timerfd(), "timerfd_create"))
  }

  /// Replaces the alarm by one at `time`, in nanoseconds as ``HostClock`` counts them; at once if
  /// that has passed.
  public func arm(at time: UInt64) {
    // Zero would disarm it. The descriptor is ours and the time is in range: it cannot fail.
    _ = apus_timerfd_arm(descriptor.rawValue, max(time, 1))
  }

  public func disarm() { _ = apus_timerfd_arm(descriptor.rawValue, 0) }

  /// Forgets an alarm that has gone off.
  public func clear() { _ = try? descriptor.read(upTo: 8) }
}

/// Signals as something to read instead of something that interrupts.
public struct SignalSource: ~Copyable, Sendable {
  public let descriptor: FileDescriptor

  /// Takes over these signals for the calling thread and every thread it starts afterwards; call it
  /// before there are others.
  public init(_ signals: [CInt]) throws(SystemError) {
    let result = unsafe signals.withUnsafeBufferPointer { list in
      unsafe apus_signalfd(list.baseAddress, list.count)
    }
    descriptor = FileDescriptor(owning: try checked(result, "signalfd"))
  }

  /// The next signal that has arrived, if any.
  public borrowing func next() -> CInt? {
    let number = apus_signalfd_take(descriptor.rawValue)
    return number > 0 ? number : nil
  }
}
