import DeviceModel

/// One counter of an 8254. Time comes as monotonic nanoseconds, counted in 1.193182 MHz ticks.
///
/// Nothing runs: count and output are functions of the ticks since the count was loaded.
/// Reference: Intel 8254 data sheet.
struct PITChannel: Sendable {
  static let frequency: UInt64 = 1_193_182

  /// When counting began, in nanoseconds; `nil` while it waits for a count or a trigger.
  var start: UInt64?
  /// Ticks counted when the gate stopped the counter.
  var frozen: UInt64?
  var mode: UInt8 = 0
  /// The count loaded, 1 to 65,536.
  var reload: UInt64 = 0x10000
  var gate: Bool
  var isBCD = false
  /// How the guest moves the two bytes: 1 low, 2 high, 3 low then high; 0 before it said so.
  var access: UInt8 = 0
  var writesHigh = false
  var readsHigh = false
  var firstByte: UInt8 = 0
  var latchedCount: UInt16?
  var latchedStatus: UInt8?
  /// No count was written since the last control word.
  var isNull = true

  init(gate: Bool) { self.gate = gate }

  // MARK: Counting

  func elapsed(at now: UInt64) -> UInt64? {
    if let frozen { return frozen }
    guard let start else { return nil }
    // Another thread may have seen a moment before the start.
    return Self.ticks(UInt64(max(0, Int64(bitPattern: now &- start))))
  }

  static func ticks(_ nanoseconds: UInt64) -> UInt64 {
    let product = nanoseconds.multipliedFullWidth(by: frequency)
    return UInt64(1_000_000_000).dividingFullWidth(product).quotient
  }

  /// Mode 3 spends half of this high and half low, mode 2 all but one tick high.
  private var period: UInt64 { max(reload, 2) }

  /// The level of the counter's output.
  func output(at now: UInt64) -> Bool {
    guard let ticks = elapsed(at: now) else { return mode != 0 }
    switch mode {
    case 0, 1: return ticks >= reload
    case 2: return !gate || ticks % period != period - 1
    case 3: return !gate || ticks % period < (period + 1) / 2
    default: return ticks != reload
    }
  }

  func count(at now: UInt64) -> UInt16 {
    let modulus: UInt64 = isBCD ? 10_000 : 0x10000
    let ticks = elapsed(at: now) ?? 0
    let value: UInt64
    switch mode {
    case 2: value = period - ticks % period
    case 3:
      let phase = ticks % period
      let high = (period + 1) / 2
      value = period - 2 * (phase < high ? phase : phase - high)
    default: value = (reload % modulus + modulus - ticks % modulus) % modulus
    }
    let binary = value % modulus
    return isBCD ? Self.bcd(binary) : UInt16(truncatingIfNeeded: binary)
  }

  private static func bcd(_ value: UInt64) -> UInt16 {
    let digits = [value / 1000 % 10, value / 100 % 10, value / 10 % 10, value % 10]
    return digits.reduce(0) { $0 << 4 | UInt16($1) }
  }

  /// When the output rises next after `now`; `nil` when it does not.
  func nextRise(after now: UInt64) -> UInt64? {
    guard let start, frozen == nil, let ticks = elapsed(at: now) else { return nil }
    let rise: UInt64
    switch mode {
    case 0, 1:
      guard ticks < reload else { return nil }
      rise = reload
    case 2, 3:
      guard gate else { return nil }
      rise = (ticks / period + 1) * period
    default:
      guard ticks <= reload else { return nil }
      rise = reload + 1
    }
    return start &+ scaled(rise, by: 1_000_000_000, over: Self.frequency)
  }

  /// How often the output rose from `deadline`, a moment when it did, through `now`.
  func rises(from deadline: UInt64, through now: UInt64) -> UInt64 {
    guard mode == 2 || mode == 3, let start, let ticks = elapsed(at: now) else { return 1 }
    let before = Self.ticks(deadline &- min(start, deadline))
    return max(1, ticks / period - min(ticks, before) / period + 1)
  }

  /// Drives the gate; channels 0 and 1 have theirs tied high.
  mutating func setGate(_ level: Bool, now: UInt64) {
    guard level != gate else { return }
    switch mode {
    case 1, 5:
      if level, !isNull { start = now }
    case 2, 3:
      if level, !isNull { start = now }
      frozen = level ? nil : elapsed(at: now)
    default:
      if level, let frozen {
        start = now &- scaled(frozen, by: 1_000_000_000, over: Self.frequency)
        self.frozen = nil
      } else if !level {
        frozen = elapsed(at: now)
      }
    }
    gate = level
  }

  // MARK: Programming

  /// A control word for this channel.
  mutating func control(_ value: UInt8, now: UInt64) {
    let access = value >> 4 & 3
    guard access != 0 else {
      if latchedCount == nil { latchedCount = count(at: now) }
      return
    }
    self.access = access
    mode = value >> 1 & 7
    if mode > 5 { mode -= 4 }
    isBCD = value & 1 != 0
    (start, frozen, isNull) = (nil, nil, true)
    (writesHigh, readsHigh, latchedCount, latchedStatus) = (false, false, nil, nil)
  }

  /// The read-back command.
  mutating func latch(count wantsCount: Bool, status wantsStatus: Bool, now: UInt64) {
    if wantsCount, latchedCount == nil { latchedCount = count(at: now) }
    if wantsStatus, latchedStatus == nil {
      latchedStatus =
        (output(at: now) ? 0x80 : 0) | (isNull ? 0x40 : 0) | access << 4 | mode << 1
        | (isBCD ? 1 : 0)
    }
  }

  mutating func read(now: UInt64) -> UInt8 {
    if let status = latchedStatus {
      latchedStatus = nil
      return status
    }
    let value = latchedCount ?? count(at: now)
    let (low, high) = (UInt8(value & 0xff), UInt8(value >> 8))
    guard access == 3 else {
      latchedCount = nil
      return access == 2 ? high : low
    }
    if readsHigh { latchedCount = nil }
    readsHigh.toggle()
    return readsHigh ? low : high
  }

  mutating func write(_ value: UInt8, now: UInt64) {
    switch access {
    case 2: load(UInt16(value) << 8, now: now)
    case 3:
      if writesHigh {
        load(UInt16(value) << 8 | UInt16(firstByte), now: now)
      } else {
        firstByte = value
        // In mode 0 the first byte stops the counter.
        if mode == 0 { (start, frozen) = (nil, nil) }
      }
      writesHigh.toggle()
    default: load(UInt16(value), now: now)
    }
  }

  private mutating func load(_ value: UInt16, now: UInt64) {
    if isBCD {
      let binary = stride(from: 12, through: 0, by: -4).reduce(UInt64(0)) {
        $0 * 10 + min(UInt64(value >> UInt16($1) & 0xf), 9)
      }
      reload = binary == 0 ? 10_000 : binary
    } else {
      reload = value == 0 ? 0x10000 : UInt64(value)
    }
    isNull = false
    frozen = nil
    switch mode {
    // These wait for the gate to rise; one that is counting goes on.
    case 1, 5: break
    default:
      start = now
      if !gate { frozen = 0 }
    }
  }
}
