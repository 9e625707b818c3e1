/// The 8254 interval timer of a PC, and port 0x61 with its gate, the speaker and the refresh bit.
///
/// A state machine: time comes as monotonic nanoseconds. Channel 0 is interrupt 0.
public struct PIT: Sendable {
  private var channels: [3 of PITChannel] = [
    PITChannel(gate: true), PITChannel(gate: true), PITChannel(gate: false),
  ]
  /// The software's bits of port 0x61: gate 2, speaker data, two error enables.
  private var systemControl: UInt8 = 0
  /// When channel 0's output rises next, in nanoseconds.
  public private(set) var deadline: UInt64?

  public init() {}

  /// Shortest time between two interrupts, so that a guest cannot keep a host thread busy.
  private static let shortestPeriod: UInt64 = 50_000

  /// Lets time pass; returns whether the output of channel 0 has risen.
  public mutating func advance(to now: UInt64) -> Bool {
    guard let deadline, deadline <= now else { return false }
    self.deadline = channels[0].nextRise(after: now).map { max($0, now + Self.shortestPeriod) }
    return true
  }

  /// The output of a channel.
  public func output(of channel: Int, at now: UInt64) -> Bool {
    channels[channel].output(at: now)
  }

  // MARK: Ports 0x40 to 0x43

  mutating func read(_ offset: UInt64, now: UInt64) -> UInt8 {
    let index = Int(offset & 3)
    return index == 3 ? 0 : channels[index].read(now: now)
  }

  mutating func write(_ value: UInt8, to offset: UInt64, now: UInt64) {
    let index = Int(offset & 3)
    if index < 3 {
      channels[index].write(value, now: now)
    } else if value >> 6 == 3 {
      for channel in 0..<3 where value >> UInt8(channel + 1) & 1 != 0 {
        channels[channel].latch(
          count: value & 0x20 == 0, status: value & 0x10 == 0, now: now)
      }
      return
    } else {
      channels[Int(value >> 6)].control(value, now: now)
    }
    deadline = channels[0].nextRise(after: now)
  }

  // MARK: Port 0x61

  mutating func readSystemControl(now: UInt64) -> UInt8 {
    // The refresh request toggles about every 15 microseconds, whatever channel 1 is told.
    let refresh: UInt8 = now / 15_085 & 1 != 0 ? 0x10 : 0
    return systemControl | refresh | (channels[2].output(at: now) ? 0x20 : 0)
  }

  mutating func writeSystemControl(_ value: UInt8, now: UInt64) {
    systemControl = value & 0x0f
    channels[2].setGate(value & 1 != 0, now: now)
  }
}
