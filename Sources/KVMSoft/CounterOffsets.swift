import Synchronization

/// Keeps the time-stamp counters of a machine's processors together.
///
/// Programs set each processor's counter in turn, by which time the first has run on. So a value
/// that is what the last one has become by now, or zero, is taken to mean "the same".
final class CounterOffsets: Sendable {
  private let last = Mutex<UInt64?>(nil)

  /// The offset for a new processor: that of the others, or else a first one.
  func offset(orElse first: UInt64) -> UInt64 {
    last.withLock { last in
      last = last ?? first
      return last ?? first
    }
  }

  /// The offset for a counter that is to show a value now.
  ///
  /// - Parameter host: The host's counter, at the guest's rate.
  func offset(for value: UInt64, host: UInt64, kilohertz: UInt64) -> UInt64 {
    last.withLock { last in
      let second = kilohertz &* 1000
      if let last, value == 0 || value &- (host &+ last) &+ second < second &* 2 { return last }
      last = value &- host
      return value &- host
    }
  }
}
