internal import CLinux

extension HostThread {
  /// Lets the calling thread's sleeps end when they should, not up to 50 us later so that the
  /// system can wake several threads at once.
  public static func useExactTimers() { _ = apus_exact_timers() }
}
