public import DeviceModel

extension RealTimeClock {
  /// Numbers of the registers that are not plain memory.
  enum Register {
    /// Seconds to year; the odd ones up to 5 are the alarm's.
    static let times = 0...9
    static let a = 10
    static let b = 11
    static let c = 12
    static let d = 13
    static let century = 0x32
  }

  /// Bits of register B; the interrupts' stand in the same place in register C.
  enum ControlB {
    static let is24Hour: UInt8 = 0x02
    static let isBinary: UInt8 = 0x04
    static let squareWave: UInt8 = 0x08
    static let updateInterrupt: UInt8 = 0x10
    static let alarmInterrupt: UInt8 = 0x20
    static let periodicInterrupt: UInt8 = 0x40
    static let set: UInt8 = 0x80
    static let interrupts: UInt8 = 0x70
    static let format: UInt8 = 0x06
  }

  /// A number as the registers show it: binary, or two decimal digits.
  func encoded(_ value: Int) -> UInt8 {
    let number = UInt8(truncatingIfNeeded: value)
    guard memory[Register.b] & ControlB.isBinary == 0 else { return number }
    return (number / 10 % 10) << 4 | number % 10
  }

  private func decoded(_ value: UInt8) -> Int {
    guard memory[Register.b] & ControlB.isBinary == 0 else { return Int(value) }
    return Int(value >> 4) * 10 + Int(value & 0xf)
  }

  /// An hour as the register shows it: with 12 hours, bit 7 says afternoon.
  func encodedHour(_ hour: Int) -> UInt8 {
    guard memory[Register.b] & ControlB.is24Hour == 0 else { return encoded(hour) }
    let shown = hour % 12 == 0 ? 12 : hour % 12
    return encoded(shown) | (hour >= 12 ? 0x80 : 0)
  }

  private func decodedHour(_ value: UInt8) -> Int {
    guard memory[Register.b] & ControlB.is24Hour == 0 else { return decoded(value) }
    return decoded(value & 0x7f) % 12 + (value & 0x80 != 0 ? 12 : 0)
  }

  /// Puts the guest's time into the registers.
  mutating func showTime() {
    var (seconds, rest) = guestTime.quotientAndRemainder(dividingBy: 1_000_000_000)
    if rest < 0 { seconds -= 1 }
    let time = CalendarTime(seconds: seconds)
    rest = Int64(time.year)
    memory[0] = encoded(time.second)
    memory[2] = encoded(time.minute)
    memory[4] = encodedHour(time.hour)
    memory[6] = encoded(time.weekday)
    memory[7] = encoded(time.day)
    memory[8] = encoded(time.month)
    memory[9] = encoded(time.year % 100)
    memory[Register.century] = encoded(time.year / 100)
  }

  /// Takes the registers as the guest's time from now on.
  mutating func takeTime() {
    let time = CalendarTime(
      year: decoded(memory[Register.century]) * 100 + decoded(memory[9]),
      month: decoded(memory[8]), day: decoded(memory[7]), hour: decodedHour(memory[4]),
      minute: decoded(memory[2]), second: decoded(memory[0]))
    let shown = guestTime
    var rest = shown % 1_000_000_000
    if rest < 0 { rest += 1_000_000_000 }
    // Beyond the year 2262 nanoseconds do not fit: such a time is not taken.
    let (wanted, overflow) = time.seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if !overflow { offset &+= wanted &+ rest &- shown }
    // A time that was set has not passed.
    seenTime = guestTime
  }
}

extension RealTimeClock: DeviceKind {
  public static let name = "rtc"

  public struct Options: Codable, Sendable {
    public init() {}
  }

  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let clock = RealTimeClock(
      clock: board.clock, interrupt: board.interrupts.line(PlatformInterrupts.realTimeClock),
      memorySize: board.memorySize)
    let slot = Timed(clock, timers: board.timers)
    try board.ports.attach(slot, named: name, at: PlatformPorts.realTimeClock)
    board.resets.append { slot.withLock { $0.reset() } }
  }
}
