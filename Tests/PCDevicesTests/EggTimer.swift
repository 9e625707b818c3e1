import DeviceModel

/// A timer of one shot: writing milliseconds starts it, and its interrupt says when they are over.
struct EggTimer: TimedDevice {
  private let clock: any Clock
  private var interrupt: LineOutput
  private(set) var deadline: UInt64?

  init(clock: any Clock, interrupt: any InterruptLine) {
    self.clock = clock
    self.interrupt = LineOutput(interrupt)
  }

  /// Reads the milliseconds left, rounded up; reading none takes the interrupt back.
  mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    let now = clock.now
    advance(to: now)
    guard let deadline else {
      interrupt.drive(false)
      return 0
    }
    return (deadline - now + 999_999) / 1_000_000 & width.mask
  }

  mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    deadline = clock.now + (value & 0xffff) * 1_000_000
  }

  mutating func advance(to now: UInt64) {
    guard let due = deadline, due <= now else { return }
    deadline = nil
    interrupt.drive(true)
  }
}

extension EggTimer: DeviceKind {
  static let name = "egg-timer"

  struct Options: Codable, Sendable {
    var port: UInt16 = 0x510
    var interrupt = 10
  }

  static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let timer = EggTimer(
      clock: board.clock, interrupt: board.interrupts.line(options.interrupt))
    let port = UInt64(options.port)
    try board.ports.attach(Timed(timer, timers: board.timers), named: name, at: port..<port + 2)
  }
}
