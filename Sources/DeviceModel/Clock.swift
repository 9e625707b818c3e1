import Glibc
import Synchronization

/// The time as devices see it.
public protocol Clock: Sendable {
  /// Nanoseconds that only ever grow; they stand still while the machine is paused.
  var now: UInt64 { get }

  /// Nanoseconds since 1970-01-01 00:00 UTC.
  var wallTime: Int64 { get }
}

extension Clock {
  /// Whole seconds since 1970-01-01 00:00 UTC.
  public var wallSeconds: Int64 {
    let (seconds, rest) = wallTime.quotientAndRemainder(dividingBy: 1_000_000_000)
    return rest < 0 ? seconds - 1 : seconds
  }
}

/// The host's clocks.
public struct SystemClock: Clock {
  public init() {}

  public var now: UInt64 { UInt64(Self.read(CLOCK_MONOTONIC)) }

  public var wallTime: Int64 { Self.read(CLOCK_REALTIME) }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// A clock that moves only when told: for tests.
public final class ManualClock: Clock {
  private let time: Atomic<UInt64>
  private let epoch: Int64

  /// - Parameter epoch: the wall time, in nanoseconds since 1970, when `now` is zero.
  public init(now: UInt64 = 0, epoch: Int64 = 0) {
    time = Atomic(now)
    self.epoch = epoch
  }

  public var now: UInt64 { time.load(ordering: .relaxed) }

  public var wallTime: Int64 { epoch &+ Int64(truncatingIfNeeded: now) }

  public func advance(by nanoseconds: UInt64) {
    time.wrappingAdd(nanoseconds, ordering: .relaxed)
  }
}
