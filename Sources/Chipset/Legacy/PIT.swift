/// The 8254 interval timer of a PC, and port 0x61 with its gate, the speaker and the refresh bit.
///
/// A state machine: time comes as monotonic nanoseconds. Channel 0 is interrupt 0.
public struct PIT: Sendable {
  var channels: [3 of PITChannel] = [
    PITChannel(gate: true), PITChannel(gate: true), PITChannel(gate: false),
  ]
  /// The software's bits of port 0x61: gate 2, speaker data, two error enables.
  var systemControl: UInt8 = 0
  /// An HPET has taken channel 0's place.
  var isReplaced = false
  /// When channel 0's output rises next, in nanoseconds.
  public private(set) var deadline: UInt64?
  var reinjection: Reinjection? = Reinjection()

  public init() {}

  /// Shortest time between two interrupts, so that a guest cannot keep a host thread busy.
  private static let shortestPeriod: UInt64 = 50_000

  /// Ticks that the guest has not taken yet, where none may be lost.
  struct Reinjection: Sendable {
    /// Those that have come, the one being served included.
    var pending: UInt64 = 0
    /// The guest has ended the last one.
    var isEnded = true
  }

  /// Lets time pass; returns whether interrupt 0 is to be pulsed.
  public mutating func advance(to now: UInt64) -> Bool {
    guard let deadline, deadline <= now else { return false }
    let ticks = channels[0].rises(from: deadline, through: now)
    self.deadline = channels[0].nextRise(after: now).map { max($0, now + Self.shortestPeriod) }
    reinjection?.pending += ticks
    return takeTurn()
  }

  /// Whether a tick can be delivered now; if so, it must be.
  private mutating func takeTurn() -> Bool {
    guard let state = reinjection else { return true }
    reinjection?.isEnded = false
    return state.isEnded
  }

  /// Notes that the guest ended interrupt 0; returns whether a tick that waited is to come now.
  mutating func ended() -> Bool {
    guard let pending = reinjection?.pending else { return false }
    reinjection?.isEnded = true
    guard pending > 0 else { return false }
    reinjection?.pending = pending - 1
    return pending > 1 && takeTurn()
  }

  /// Forgets the ticks that wait: nobody listened, or the timer was set anew.
  mutating func forgetMissed() {
    if reinjection != nil { reinjection = Reinjection() }
  }

  /// Makes channel 0's output rise at a time of the owner's.
  mutating func schedule(at time: UInt64) { deadline = time }

  /// Finds out anew when channel 0's output rises.
  mutating func reschedule(now: UInt64) {
    deadline = isReplaced ? nil : channels[0].nextRise(after: now)
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
      if index == 0 { forgetMissed() }
    } else if value >> 6 == 3 {
      for channel in 0..<3 where value >> UInt8(channel + 1) & 1 != 0 {
        channels[channel].latch(
          count: value & 0x20 == 0, status: value & 0x10 == 0, now: now)
      }
      return
    } else {
      channels[Int(value >> 6)].control(value, now: now)
    }
    reschedule(now: now)
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
