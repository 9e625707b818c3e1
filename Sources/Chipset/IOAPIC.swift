import DeviceModel

/// The I/O APIC: 24 inputs, each with an entry that says which interrupt message it sends.
///
/// A state machine: the owner asks for the messages of pins and says which were delivered.
/// Pin polarity is ignored; a line is asserted or not. Reference: 82093AA data sheet.
public struct IOAPIC: Sendable {
  public static let pinCount = 24
  /// Where the PC architecture has it, and the size of its window.
  public static let address: UInt64 = 0xfec0_0000
  public static let size: UInt64 = 0x1000

  /// The register that the window shows.
  private(set) var select: UInt8 = 0
  private(set) var identifier: UInt32 = 0
  var entries: [24 of UInt64] = .init(repeating: Redirection.masked)
  /// Levels of the inputs, a bit for each pin.
  private(set) var lines: UInt32 = 0

  public init() {}

  /// The state after power-on, but for the levels of the inputs.
  public mutating func reset() {
    let lines = lines
    self = IOAPIC()
    self.lines = lines
  }

  /// Drives an input; returns whether it may have a message to send now.
  mutating func setLine(_ pin: Int, to isAsserted: Bool) -> Bool {
    guard pin >= 0, pin < Self.pinCount else { return false }
    let mask: UInt32 = 1 << UInt32(pin)
    let wasAsserted = lines & mask != 0
    lines = isAsserted ? lines | mask : lines & ~mask
    return isAsserted && (entries[pin] & Redirection.level != 0 || !wasAsserted)
  }

  /// What the pin sends now, if it is not masked nor still waiting for its last message's end.
  ///
  /// Ask for an edge-triggered pin only when its line has just risen.
  func message(of pin: Int) -> InterruptMessage? {
    let entry = entries[pin]
    guard entry & Redirection.masked == 0,
      let mode = DeliveryMode(rawValue: UInt8(entry >> 8 & 7)), mode != .startup
    else { return nil }
    let isLevel = entry & Redirection.level != 0
    if isLevel, entry & Redirection.waiting != 0 || lines >> UInt32(pin) & 1 == 0 { return nil }
    return InterruptMessage(
      vector: UInt8(entry & 0xff), mode: mode, isLevel: isLevel,
      destination: UInt32(entry >> 56), isLogical: entry >> 11 & 1 != 0)
  }

  /// Notes that some processor took the pin's message: a level-triggered one awaits its end.
  mutating func delivered(_ pin: Int) {
    if entries[pin] & Redirection.level != 0 { entries[pin] |= Redirection.waiting }
  }

  /// Takes the end of interrupt `vector`; returns the pins that may send again.
  mutating func endOfInterrupt(_ vector: UInt8) -> UInt32 {
    var pins: UInt32 = 0
    for pin in 0..<Self.pinCount {
      let entry = entries[pin]
      guard UInt8(entry & 0xff) == vector, entry & Redirection.level != 0 else { continue }
      entries[pin] &= ~Redirection.waiting
      pins |= 1 << UInt32(pin)
    }
    return pins & lines
  }

  /// The level-triggered pins whose lines are asserted: those that may still have to send.
  var assertedLevels: UInt32 {
    (0..<Self.pinCount).reduce(0) { pins, pin in
      entries[pin] & Redirection.level != 0 ? pins | 1 << UInt32(pin) : pins
    } & lines
  }

  // MARK: Registers

  mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    let value: UInt32 =
      switch offset & 0xff {
      case 0x00: UInt32(select)
      case 0x10: register
      default: 0
      }
    return UInt64(value) & width.mask
  }

  /// Takes a write; returns the pins that may send now.
  mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) -> UInt32 {
    switch offset & 0xff {
    case 0x00: select = UInt8(truncatingIfNeeded: value)
    case 0x10: return setRegister(UInt32(truncatingIfNeeded: value))
    default: break
    }
    return 0
  }

  private var register: UInt32 {
    switch select {
    case 0, 2: identifier
    // 24 entries, version 0x11: without an end-of-interrupt register.
    case 1: UInt32(Self.pinCount - 1) << 16 | 0x11
    case 0x10..<0x40: UInt32(truncatingIfNeeded: entries[pin] >> half)
    default: 0
    }
  }

  private mutating func setRegister(_ value: UInt32) -> UInt32 {
    switch select {
    case 0:
      identifier = value & 0x0f00_0000
      return 0
    case 0x10..<0x40:
      let readOnly = Redirection.pending | Redirection.waiting
      let field: UInt64 = 0xffff_ffff << half & ~readOnly & Redirection.writable
      entries[pin] = entries[pin] & ~field | UInt64(value) << half & field
      // An edge-triggered entry waits for nothing.
      if entries[pin] & Redirection.level == 0 { entries[pin] &= ~Redirection.waiting }
      return entries[pin] & Redirection.level != 0 ? 1 << UInt32(pin) & lines : 0
    default: return 0
    }
  }

  private var pin: Int { Int(select - 0x10) / 2 }
  private var half: UInt64 { select & 1 == 0 ? 0 : 32 }
}

/// Bits of a redirection entry.
enum Redirection {
  static let pending: UInt64 = 1 << 12
  /// Remote IRR: a level-triggered message was taken and has not ended.
  static let waiting: UInt64 = 1 << 14
  static let level: UInt64 = 1 << 15
  static let masked: UInt64 = 1 << 16
  static let writable: UInt64 = 0xff00_0000_0001_ffff
}
