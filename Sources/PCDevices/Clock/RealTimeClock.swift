public import DeviceModel

/// The PC's clock and its memory: an MC146818 with a second bank of 128 bytes.
///
/// The time is the host's UTC plus what the guest has set it off by; nothing ticks unless the
/// guest wants interrupts. Reference: Motorola MC146818A data sheet.
public struct RealTimeClock: ByteDevice, TimedDevice {
  let clock: any Clock
  private var interrupt: LineOutput
  var memory: [256 of UInt8] = .init(repeating: 0)
  private var indices: [2 of UInt8] = [0x0d, 0x80]
  /// What the guest's time is ahead of the host's, in nanoseconds.
  var offset: Int64 = 0
  /// Whether the guest has stopped the clock to set it.
  private var isStopped = false
  /// The guest's time and the monotonic time up to which events have been counted.
  var seenTime: Int64 = 0
  private var seenTicks: UInt64 = 0
  private let memorySize: MemorySize

  public init(clock: any Clock, interrupt: any InterruptLine, memorySize: MemorySize) {
    self.clock = clock
    self.interrupt = LineOutput(interrupt)
    self.memorySize = memorySize
    memory[Register.a] = 0x26
    memory[Register.b] = ControlB.is24Hour
    memory[Register.d] = 0x80
    describeMemory()
    seenTime = guestTime
    seenTicks = ticks(clock.now)
  }

  /// The state after a reset: interrupts are off, time and memory stay.
  public mutating func reset() {
    memory[Register.b] &= ~(ControlB.interrupts | ControlB.squareWave)
    memory[Register.c] = 0
    updateInterrupt()
  }

  // MARK: Ports: index and data of the first bank, then of the second

  public mutating func readByte(_ offset: UInt64) -> UInt8 {
    switch offset {
    case 0: return indices[0]
    case 1: return readRegister(Int(indices[0]))
    case 2: return indices[1] & 0x7f
    case 3: return memory[Int(indices[1])]
    default: return 0xff
    }
  }

  public mutating func writeByte(_ value: UInt8, to offset: UInt64) {
    switch offset {
    // The highest bit of the index gates the NMI, which nothing here raises.
    case 0: indices[0] = value & 0x7f
    case 1: writeRegister(value, at: Int(indices[0]))
    case 2: indices[1] = value | 0x80
    case 3: memory[Int(indices[1])] = value
    default: break
    }
  }

  private mutating func readRegister(_ index: Int) -> UInt8 {
    settle(at: clock.now)
    switch index {
    case Register.times, Register.century:
      if !isStopped { showTime() }
    case Register.a:
      return memory[Register.a] & 0x7f | (isUpdating ? 0x80 : 0)
    case Register.c:
      let flags = memory[Register.c]
      memory[Register.c] = 0
      updateInterrupt()
      return flags
    default: break
    }
    return memory[index]
  }

  private mutating func writeRegister(_ value: UInt8, at index: Int) {
    settle(at: clock.now)
    switch index {
    case 1, 3, 5: memory[index] = value
    case Register.times, Register.century:
      if !isStopped { showTime() }
      memory[index] = value
      if !isStopped { takeTime() }
    case Register.a: memory[Register.a] = value & 0x7f
    case Register.b: setControl(value)
    case Register.c, Register.d: break
    default: memory[index] = value
    }
    updateInterrupt()
  }

  private mutating func setControl(_ value: UInt8) {
    let stops = value & ControlB.set != 0
    if stops, !isStopped { showTime() }
    // Digits are read as the mode says in which they were written: the new one.
    if !isStopped, !stops, (value ^ memory[Register.b]) & ControlB.format != 0 {
      memory[Register.b] = value
      showTime()
    }
    memory[Register.b] = stops ? value & ~ControlB.updateInterrupt : value
    if isStopped, !stops { takeTime() }
    isStopped = stops
  }

  // MARK: Time

  /// The guest's time in nanoseconds since 1970.
  var guestTime: Int64 { clock.wallTime &+ offset }

  private var nanosecond: Int64 {
    let rest = guestTime % 1_000_000_000
    return rest < 0 ? rest + 1_000_000_000 : rest
  }

  /// Whether the time is about to change: the chip's warning of 244 microseconds.
  private var isUpdating: Bool { !isStopped && nanosecond >= 1_000_000_000 - 244_000 }

  // MARK: Interrupts

  /// Half-periods of 32.768 kHz make the periodic interrupt; zero when there is none.
  private var periodicTicks: UInt64 {
    let rate = UInt64(memory[Register.a] & 0xf)
    guard rate != 0 else { return 0 }
    return 1 << (rate <= 2 ? rate + 6 : rate - 1)
  }

  private func ticks(_ now: UInt64) -> UInt64 {
    UInt64(1_000_000_000).dividingFullWidth(now.multipliedFullWidth(by: 32_768)).quotient
  }

  /// Counts the events since the last time.
  private mutating func settle(at now: UInt64) {
    let (time, ticks) = (guestTime, ticks(now))
    let (oldSecond, newSecond) = (Self.second(seenTime), Self.second(time))
    if periodicTicks != 0, seenTicks / periodicTicks != ticks / periodicTicks {
      memory[Register.c] |= ControlB.periodicInterrupt
    }
    if !isStopped, oldSecond != newSecond {
      memory[Register.c] |= ControlB.updateInterrupt
      if alarmMatches(after: oldSecond, through: newSecond) {
        memory[Register.c] |= ControlB.alarmInterrupt
      }
    }
    (seenTime, seenTicks) = (time, ticks)
    updateInterrupt()
  }

  private static func second(_ nanoseconds: Int64) -> Int64 {
    let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    return rest < 0 ? seconds - 1 : seconds
  }

  /// Whether the alarm's time lies in a range of seconds; clocks set back match nothing.
  private func alarmMatches(after first: Int64, through last: Int64) -> Bool {
    guard last > first else { return false }
    // Every time of day lies within a day.
    let start = max(first + 1, last - 86_399)
    for second in start...last {
      let rest = Int((second % 86_400 + 86_400) % 86_400)
      if matches(rest % 60, at: 1), matches(rest / 60 % 60, at: 3),
        memory[5] >= 0xc0 || memory[5] == encodedHour(rest / 3600)
      {
        return true
      }
    }
    return false
  }

  private func matches(_ value: Int, at index: Int) -> Bool {
    memory[index] >= 0xc0 || memory[index] == encoded(value)
  }

  private mutating func updateInterrupt() {
    let isPending = memory[Register.c] & memory[Register.b] & ControlB.interrupts != 0
    memory[Register.c] = memory[Register.c] & 0x7f | (isPending ? 0x80 : 0)
    interrupt.drive(isPending)
  }

  public mutating func advance(to now: UInt64) { settle(at: now) }

  /// The next event that would raise the interrupt; none while one waits to be read.
  public var deadline: UInt64? {
    let enabled = memory[Register.b] & ~memory[Register.c]
    guard memory[Register.c] & 0x80 == 0 else { return nil }
    let now = clock.now
    var first: UInt64?
    if enabled & ControlB.periodicInterrupt != 0, periodicTicks != 0 {
      let next = (seenTicks / periodicTicks + 1) * periodicTicks
      let product = next.multipliedFullWidth(by: 1_000_000_000)
      first = UInt64(32_768).dividingFullWidth(product).quotient + 1
    }
    if !isStopped, enabled & (ControlB.alarmInterrupt | ControlB.updateInterrupt) != 0 {
      let next = now + UInt64(1_000_000_000 - nanosecond)
      first = min(first ?? .max, next)
    }
    return first
  }

  private mutating func describeMemory() {
    let mebibyte: UInt64 = 1 << 20
    let extended = memorySize.low > mebibyte ? memorySize.low - mebibyte : 0
    let above16 = memorySize.low > 16 * mebibyte ? memorySize.low - 16 * mebibyte : 0
    store(640, at: 0x15, bytes: 2)
    store(min(extended >> 10, 0xffff), at: 0x17, bytes: 2)
    store(min(extended >> 10, 0xffff), at: 0x30, bytes: 2)
    store(min(above16 >> 16, 0xffff), at: 0x34, bytes: 2)
    store(min(memorySize.high >> 16, 0xff_ffff), at: 0x5b, bytes: 3)
    memory[0x14] = 0x06  // a coprocessor, a mouse port
    let sum = (0x10...0x2d).reduce(0) { $0 + UInt64(memory[$1]) }
    store((sum & 0xff) << 8 | sum >> 8, at: 0x2e, bytes: 2)
  }

  private mutating func store(_ value: UInt64, at index: Int, bytes: Int) {
    for byte in 0..<bytes {
      memory[index + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
    }
  }
}
