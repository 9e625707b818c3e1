/// One of a processor's four timers, in units of 100 ns of the partition's time.
///
/// Reference: Hypervisor Top-Level Functional Specification, "Synthetic Timers".
struct SyntheticTimer {
  private(set) var configuration = Configuration()
  private(set) var count: UInt64 = 0
  /// When it expires; zero for not set.
  private(set) var expiry: UInt64 = 0
  /// The same in the host's monotonic nanoseconds, while somebody has to wait for it.
  private(set) var deadline: UInt64?
  /// It is to be looked at before the guest runs on.
  private(set) var isDue = false
  /// It has expired, and its message found no room.
  private var hasMessage = false

  struct Configuration {
    var rawValue: UInt64 = 0

    var isEnabled: Bool {
      get { rawValue & 1 != 0 }
      set { rawValue = newValue ? rawValue | 1 : rawValue & ~1 }
    }
    var isPeriodic: Bool { rawValue & 1 << 1 != 0 }
    var enablesItself: Bool { rawValue & 1 << 3 != 0 }
    var vector: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 4) }
    /// Whether it raises the vector, rather than sending a message.
    var isDirect: Bool { rawValue & 1 << 12 != 0 }
    var source: UInt32 { UInt32(rawValue >> 16 & 0xf) }
  }

  /// Whether time or the guest has anything to do with it.
  var isWaiting: Bool { isDue || deadline != nil }

  mutating func configure(_ value: UInt64) {
    stop()
    var new = Configuration(rawValue: value)
    // Source 0 is not for timers.
    if configuration.isEnabled, !new.isDirect, new.source == 0 { new.isEnabled = false }
    configuration = new
    isDue = new.isEnabled
  }

  mutating func setCount(_ value: UInt64, byHost: Bool) {
    stop()
    count = value
    if !byHost {
      if value == 0 {
        configuration.isEnabled = false
      } else if configuration.enablesItself {
        configuration.isEnabled = true
      }
    }
    isDue = configuration.isEnabled
  }

  private mutating func stop() {
    (deadline, isDue, hasMessage, expiry) = (nil, false, false, 0)
  }

  /// A message of a source was taken: there may be room for one that waits.
  mutating func acknowledged(_ source: UInt32) {
    if hasMessage, configuration.isEnabled, !configuration.isDirect,
      configuration.source == source
    {
      isDue = true
    }
  }

  /// Looks at the timer, if that is due.
  ///
  /// - Parameters:
  ///   - time: of the partition.
  ///   - now: the same moment, in the host's nanoseconds.
  ///   - expire: tells the guest; returns `false` if that has to wait.
  mutating func advance(time: UInt64, now: UInt64, expire: (Self) -> Bool) {
    if let deadline, deadline <= now { isDue = true }
    guard isDue else { return }
    (isDue, deadline) = (false, nil)
    guard configuration.isEnabled else { return }
    if expiry != 0, time >= expiry {
      hasMessage = !expire(self)
      if !hasMessage, !configuration.isPeriodic { configuration.isEnabled = false }
    }
    guard configuration.isEnabled, count != 0 else { return stop() }
    if !hasMessage { start(time: time, now: now) }
  }

  private mutating func start(time: UInt64, now: UInt64) {
    if !configuration.isPeriodic {
      expiry = count
      // One in the past expires at once.
      isDue = time >= count
    } else if expiry == 0 {
      expiry = time &+ count
    } else if time >= expiry {
      expiry = time &+ (count - (time - expiry) % count)
    }
    guard !isDue else { return }
    let (wait, overflow) = (expiry &- time).multipliedReportingOverflow(by: 100)
    let (moment, isNever) = now.addingReportingOverflow(wait)
    deadline = overflow || isNever ? nil : moment
  }
}
