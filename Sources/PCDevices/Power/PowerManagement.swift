public import DeviceModel

/// The ACPI fixed hardware: event and control registers, and the power-management timer.
///
/// The guest finds itself in ACPI mode; the command port can leave and enter it.
/// Reference: ACPI specification 6.5, section 4.8.3.
public struct PowerManagement: TimedDevice {
  static let frequency: UInt64 = 3_579_545
  /// The timer has 24 bits: the tables do not claim 32.
  private static let timerMask: UInt64 = 0xff_ffff

  private let clock: any Clock
  private var interrupt: LineOutput
  private let power: @Sendable (PowerRequest) -> Void
  private var status: UInt16 = 0
  private var enabled: UInt16 = 0
  private var control: UInt16 = Control.isACPI
  /// The timer's half-cycle, of its highest bit, up to which changes have been noted.
  private var seenHalf: UInt64

  public init(
    clock: any Clock, interrupt: any InterruptLine,
    power: @escaping @Sendable (PowerRequest) -> Void
  ) {
    self.clock = clock
    self.interrupt = LineOutput(interrupt)
    self.power = power
    seenHalf = Self.ticks(clock.now) / Self.half
  }

  public mutating func reset() {
    (status, enabled, control) = (0, 0, Control.isACPI)
    updateInterrupt()
  }

  /// Bits of the status and enable registers.
  enum Event {
    static let timer: UInt16 = 1 << 0
    static let global: UInt16 = 1 << 5
    static let powerButton: UInt16 = 1 << 8
    static let sleepButton: UInt16 = 1 << 9
    static let clock: UInt16 = 1 << 10
    static let wake: UInt16 = 1 << 15
    static let all = timer | global | powerButton | sleepButton | clock
  }

  enum Control {
    static let isACPI: UInt16 = 1 << 0
    static let kept: UInt16 = 0x1c03
    static let sleepEnable: UInt16 = 1 << 13
  }

  // MARK: The host's side

  /// What pressing the button for a moment does: asks the guest to power off.
  public mutating func pressPowerButton() {
    status |= Event.powerButton
    updateInterrupt()
  }

  /// What the command port takes: hands the registers to the guest's ACPI, and back.
  public mutating func command(_ value: UInt8) {
    switch value {
    case PlatformPorts.enableACPI: control |= Control.isACPI
    case PlatformPorts.disableACPI: control &= ~Control.isACPI
    default: break
    }
    updateInterrupt()
  }

  // MARK: Registers

  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    settle(at: clock.now)
    let low = UInt64(status) | UInt64(enabled) << 16 | UInt64(control) << 32
    let high = Self.ticks(clock.now) & Self.timerMask
    let bytes: UInt64 =
      switch offset {
      case 0: low
      case 1..<8: low >> (8 * offset) | high << (64 - 8 * offset)
      case 8..<16: high >> (8 * (offset - 8))
      default: 0
      }
    return bytes & width.mask
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    settle(at: clock.now)
    // Merge what is written into the six bytes of registers, whatever its width and place.
    guard offset < 8 else { return }
    let shift = 8 * offset
    let mask = width.mask << shift
    let bits = value << shift & mask
    status &= ~UInt16(truncatingIfNeeded: bits)
    enabled = merge(enabled, bits >> 16, mask >> 16) & Event.all
    if mask >> 32 & 0xffff != 0 { setControl(merge(control, bits >> 32, mask >> 32)) }
    updateInterrupt()
  }

  private func merge(_ old: UInt16, _ bits: UInt64, _ mask: UInt64) -> UInt16 {
    let mask = UInt16(truncatingIfNeeded: mask)
    return old & ~mask | UInt16(truncatingIfNeeded: bits) & mask
  }

  private mutating func setControl(_ value: UInt16) {
    control = value & Control.kept
    guard value & Control.sleepEnable != 0 else { return }
    if value >> 10 & 7 == PlatformPorts.sleepS5 { power(.powerOff) }
  }

  private mutating func updateInterrupt() {
    interrupt.drive(control & Control.isACPI != 0 && status & enabled != 0)
  }

  // MARK: Timer

  private static let half: UInt64 = 1 << 23

  static func ticks(_ now: UInt64) -> UInt64 {
    UInt64(1_000_000_000).dividingFullWidth(now.multipliedFullWidth(by: frequency)).quotient
  }

  /// Notes a change of the timer's highest bit.
  private mutating func settle(at now: UInt64) {
    let current = Self.ticks(now) / Self.half
    guard current != seenHalf else { return }
    seenHalf = current
    status |= Event.timer
    updateInterrupt()
  }

  public mutating func advance(to now: UInt64) { settle(at: now) }

  /// When the timer's highest bit changes, if the guest wants to know and does not know yet.
  public var deadline: UInt64? {
    guard enabled & ~status & Event.timer != 0 else { return nil }
    let product = ((seenHalf + 1) * Self.half).multipliedFullWidth(by: 1_000_000_000)
    return Self.frequency.dividingFullWidth(product).quotient + 1
  }
}

extension PowerManagement: DeviceKind {
  public static let name = "acpi-pm"

  public struct Options: Codable, Sendable {
    public init() {}
  }

  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let device = PowerManagement(
      clock: board.clock, interrupt: board.interrupts.line(PlatformInterrupts.systemControl),
      power: board.power)
    let slot = Timed(device, timers: board.timers)
    try board.ports.attach(slot, named: name, at: PlatformPorts.power)
    let command = FunctionSlot(
      read: { _, _ in 0 },
      write: { value, offset, _ in
        if offset == 0 { slot.withLock { $0.command(UInt8(truncatingIfNeeded: value)) } }
      })
    try board.ports.attach(command, named: name, at: PlatformPorts.managementCommand)
    board.pressPowerButton = { slot.withLock { $0.pressPowerButton() } }
    board.resets.append { slot.withLock { $0.reset() } }
  }
}
