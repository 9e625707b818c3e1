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
  var select: UInt8 = 0
  var identifier: UInt32 = 0
  var entries: [24 of UInt64] = .init(repeating: Redirection.masked) {
    didSet { vectors = VectorSet(entries) }
  }
  /// Levels of the inputs, a bit for each pin.
  var lines: UInt32 = 0
  /// The edge-triggered pins whose last edge was sent.
  var sent: UInt32 = 0
  /// The vectors of all entries.
  private var vectors = VectorSet()

  public init() {}

  /// The state after power-on, but for the levels of the inputs.
  public mutating func reset() {
    let lines = lines
    self = IOAPIC()
    self.lines = lines
  }

  /// What comes of driving an input.
  enum Change {
    /// Nothing to send; the line fell.
    case fallen
    /// Nothing to send: an edge-triggered line that was high already.
    case coalesced
    /// There may be a message to send.
    case asks
  }

  mutating func setLine(_ pin: Int, to isAsserted: Bool) -> Change {
    let mask: UInt32 = 1 << UInt32(pin)
    guard isAsserted else {
      lines &= ~mask
      return .fallen
    }
    let wasAsserted = lines & mask != 0
    lines |= mask
    if entries[pin] & Redirection.level != 0 { return .asks }
    sent &= ~mask
    return wasAsserted ? .coalesced : .asks
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

  /// Notes that the pin's message was sent, and whether some processor took it: a
  /// level-triggered one awaits its end.
  mutating func delivered(_ pin: Int, isTaken: Bool) {
    if entries[pin] & Redirection.level == 0 {
      sent |= 1 << UInt32(pin)
    } else if isTaken {
      entries[pin] |= Redirection.waiting
    }
  }

  /// The pins that send interrupt `vector`.
  func pins(of vector: UInt8) -> UInt32 {
    guard vectors.contains(vector) else { return 0 }
    return (0..<Self.pinCount).reduce(0) { pins, pin in
      UInt8(entries[pin] & 0xff) == vector ? pins | 1 << UInt32(pin) : pins
    }
  }

  /// Takes the end of a level-triggered interrupt; returns the pins that may send again.
  mutating func endOfInterrupt(pins: UInt32) -> UInt32 {
    var ready: UInt32 = 0
    for pin in 0..<Self.pinCount where pins >> UInt32(pin) & 1 != 0 {
      guard entries[pin] & Redirection.level != 0 else { continue }
      entries[pin] &= ~Redirection.waiting
      ready |= 1 << UInt32(pin)
    }
    return ready & lines
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

  /// What a write to the window asks the owner for: pins that may send, and pins unmasked.
  struct Effect {
    var ready: UInt32 = 0
    var unmasked: UInt32 = 0
  }

  mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) -> Effect {
    switch offset & 0xff {
    case 0x00: select = UInt8(truncatingIfNeeded: value)
    case 0x10: return setRegister(UInt32(truncatingIfNeeded: value))
    default: break
    }
    return Effect()
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

  private mutating func setRegister(_ value: UInt32) -> Effect {
    switch select {
    case 0:
      identifier = value & 0x0f00_0000
      return Effect()
    case 0x10..<0x40:
      let old = entries[pin]
      let readOnly = Redirection.pending | Redirection.waiting
      let field: UInt64 = 0xffff_ffff << half & ~readOnly & Redirection.writable
      var new = old & ~field | UInt64(value) << half & field
      // An edge-triggered entry waits for nothing.
      if new & Redirection.level == 0 { new &= ~Redirection.waiting }
      entries[pin] = new
      let mask: UInt32 = 1 << UInt32(pin)
      return Effect(
        ready: new & Redirection.level != 0 ? mask & lines : 0,
        unmasked: old & ~new & Redirection.masked != 0 ? mask : 0)
    default: return Effect()
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
