import Glibc

/// The host's clocks.
public enum HostClock {
  /// Nanoseconds that the monotonic clock counts since some fixed moment.
  public static var nanoseconds: UInt64 { read(CLOCK_MONOTONIC) }

  /// Nanoseconds since 1970, UTC.
  public static var wallNanoseconds: UInt64 { read(CLOCK_REALTIME) }

  /// Nanoseconds of processor time that this thread has used.
  public static var threadNanoseconds: UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    guard unsafe clock_gettime(clock, &time) == 0 else { return 0 }
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
