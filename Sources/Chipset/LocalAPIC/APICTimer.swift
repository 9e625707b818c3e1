import DeviceModel

/// The part of a local APIC's timer that is not in its registers. Times are nanoseconds.
struct APICTimer: Sendable {
  /// When the count began, in one-shot and periodic mode; wraps below zero.
  var start: UInt64 = 0
  /// When the timer fires next.
  var deadline: UInt64?
  /// IA32_TSC_DEADLINE, zero when not armed.
  var timestamp: UInt64 = 0

  /// A guest that asks for more than 20,000 interrupts a second gets that many.
  static let shortestPeriod: UInt64 = 50_000

  /// Time since the count began; none for a moment that another thread saw before that.
  func elapsed(at now: UInt64) -> UInt64 {
    UInt64(max(0, Int64(bitPattern: now &- start)))
  }

  enum Mode: UInt32 {
    case oneShot = 0
    case periodic = 1
    case timestampDeadline = 2
  }
}

/// Reference: SDM vol. 3A, section 11.5.4.
extension LocalAPIC {
  /// Whether a write to the register at this offset needs the time and may move the deadline.
  static func affectsTimer(_ offset: UInt64) -> Bool {
    offset == 0x320 || offset == 0x380 || offset == 0x3e0
  }

  var timerMode: APICTimer.Mode? { APICTimer.Mode(rawValue: self[.timer] >> 17 & 3) }

  /// Nanoseconds a count takes, as a shift.
  private var divideShift: UInt64 {
    let value = self[.divide]
    return UInt64((value & 3 | value >> 1 & 4) + 1) & 7
  }

  private var period: UInt64 { UInt64(self[.initialCount]) << divideShift }

  /// When the timer fires next, in monotonic nanoseconds.
  public var deadline: UInt64? { timer.deadline }

  /// Fires the timer if its time has come.
  public mutating func advance(to now: UInt64) -> APICAction {
    guard let deadline = timer.deadline, deadline <= now else { return .none }
    switch timerMode {
    case .periodic where period != 0:
      // Periods that went by unseen are lost, as when an edge meets a request still pending.
      timer.start = now &- timer.elapsed(at: now) % period
      timer.deadline = max(timer.start &+ period, now + APICTimer.shortestPeriod)
    default:
      timer.deadline = nil
      timer.timestamp = 0
    }
    return deliverLocal(.timer)
  }

  func currentCount(now: UInt64) -> UInt32 {
    guard timer.deadline != nil, period != 0 else { return 0 }
    let elapsed = timer.elapsed(at: now)
    switch timerMode {
    case .oneShot where elapsed < period:
      return UInt32(truncatingIfNeeded: (period - elapsed - 1) >> divideShift + 1)
    case .periodic:
      return UInt32(truncatingIfNeeded: (period - elapsed % period - 1) >> divideShift + 1)
    default: return 0
    }
  }

  mutating func setInitialCount(_ value: UInt32, now: UInt64) {
    guard timerMode != .timestampDeadline else { return }
    self[.initialCount] = value
    startTimer(remaining: value, now: now)
  }

  /// Counts down from `remaining`; zero stops the timer.
  mutating func startTimer(remaining: UInt32, now: UInt64) {
    guard remaining != 0, timerMode != .timestampDeadline else {
      timer.deadline = nil
      return
    }
    let rest = min(UInt64(remaining) << divideShift, period)
    // In the past by what has been counted already.
    timer.start = now &+ rest &- period
    timer.deadline = now + rest
  }

  mutating func setDivide(_ value: UInt32, now: UInt64) {
    let rest = currentCount(now: now)
    self[.divide] = value
    if rest != 0 { startTimer(remaining: rest, now: now) }
  }

  mutating func setTimerVector(_ value: UInt32, now: UInt64) {
    let old = timerMode
    let rest = currentCount(now: now)
    setVector(value, of: .timer)
    guard timerMode != old else { return }
    if old == .timestampDeadline || timerMode == .timestampDeadline {
      // Changing to or from TSC-deadline mode disarms the timer.
      timer = APICTimer()
      self[.initialCount] = 0
    } else if rest != 0 {
      startTimer(remaining: rest, now: now)
    }
  }

  /// IA32_TSC_DEADLINE: zero unless armed.
  public var timestampDeadline: UInt64 { timer.timestamp }

  /// Writes IA32_TSC_DEADLINE; without effect in other modes, as on hardware.
  public mutating func setTimestampDeadline(_ value: UInt64, at instant: Instant) {
    guard timerMode == .timestampDeadline else { return }
    timer.timestamp = value
    timer.deadline = value == 0 ? nil : instant.time(ofTimestamp: value)
  }

  /// Takes over that the guest's time-stamp counter now runs differently.
  public mutating func timestampChanged(at instant: Instant) {
    guard timerMode == .timestampDeadline, timer.timestamp != 0 else { return }
    timer.deadline = instant.time(ofTimestamp: timer.timestamp)
  }
}

/// One moment on two clocks: monotonic nanoseconds and a processor's time-stamp counter.
public struct Instant: Hashable, Sendable, BitwiseCopyable {
  public var nanoseconds: UInt64
  public var timestamp: UInt64
  /// The counter's rate in kHz; not zero.
  public var kilohertz: UInt64

  public init(nanoseconds: UInt64, timestamp: UInt64, kilohertz: UInt64) {
    (self.nanoseconds, self.timestamp) = (nanoseconds, timestamp)
    self.kilohertz = max(kilohertz, 1)
  }

  /// The time, rounded up, when the counter reaches `value`; now for values gone by.
  func time(ofTimestamp value: UInt64) -> UInt64 {
    guard value > timestamp else { return nanoseconds }
    let wait = scaled(value - timestamp, by: 1_000_000, over: kilohertz)
    let (sum, overflow) = nanoseconds.addingReportingOverflow(wait)
    // A century away and never are the same, and leave room for sums.
    return overflow ? UInt64.max >> 1 : min(sum, UInt64.max >> 1)
  }
}

/// `value * factor / divisor`, rounded up, the product in 128 bits; all ones when too large.
func scaled(_ value: UInt64, by factor: UInt64, over divisor: UInt64) -> UInt64 {
  let product = value.multipliedFullWidth(by: factor)
  guard product.high < divisor else { return .max }
  let (quotient, remainder) = divisor.dividingFullWidth(product)
  return remainder == 0 || quotient == .max ? quotient : quotient + 1
}
