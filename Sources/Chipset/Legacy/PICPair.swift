/// The two 8259A of a PC, the second on input 2 of the first, with their edge/level registers.
public struct PICPair: Sendable {
  var first = PIC(cascade: 1 << 2)
  var second = PIC()

  /// The timer, the keyboard, the cascade, the clock and the coprocessor are edges for ever.
  static let firstLevels: UInt8 = 0xf8
  static let secondLevels: UInt8 = 0xde

  public init() {}

  /// The state after power-on, but for the levels of the inputs.
  public mutating func reset() {
    let lines = UInt16(first.lines) | UInt16(second.lines) << 8
    self = PICPair()
    for input in 0..<16 where lines >> UInt16(input) & 1 != 0 && input != 2 {
      setLine(input, to: true)
    }
  }

  /// Drives one of the 16 inputs; 2 is the cascade's own.
  ///
  /// Returns -1 when the input is masked, 0 when it had asked already, else 1.
  @discardableResult
  public mutating func setLine(_ input: Int, to isAsserted: Bool) -> Int {
    switch input {
    case 0, 1, 3...7: return first.setLine(input, to: isAsserted)
    case 8...15:
      defer { cascade() }
      return second.setLine(input - 8, to: isAsserted)
    default: return -1
    }
  }

  /// The inputs whose interrupts have ended since the last call, a bit for each.
  mutating func takeEnded() -> UInt16 {
    defer { (first.ended, second.ended) = (0, 0) }
    return UInt16(first.ended) | UInt16(second.ended) << 8
  }

  /// The inputs that were unmasked since the last call.
  mutating func takeUnmasked() -> UInt16 {
    defer { (first.unmasked, second.unmasked) = (0, 0) }
    return UInt16(first.unmasked) | UInt16(second.unmasked) << 8
  }

  /// Whether the INTR output is high.
  public var isPending: Bool { first.pending != nil }

  /// The processor's acknowledge cycle: the vector, that of a spurious IRQ 7 or 15 when the
  /// request has gone.
  public mutating func acknowledge() -> UInt8 {
    defer { cascade() }
    guard let input = first.pending else { return first.vectorBase | 7 }
    first.acknowledge(input)
    guard input == 2 else { return first.vectorBase | UInt8(input) }
    guard let behind = second.pending else { return second.vectorBase | 7 }
    second.acknowledge(behind)
    return second.vectorBase | UInt8(behind)
  }

  /// Carries the second controller's output to the first.
  mutating func cascade() { first.setLine(2, to: second.pending != nil) }

  /// The ports of both and of their edge/level registers.
  private enum Port: UInt16 {
    case firstCommand = 0x20
    case firstData = 0x21
    case secondCommand = 0xa0
    case secondData = 0xa1
    case firstLevels = 0x4d0
    case secondLevels = 0x4d1
  }

  /// Reads one of the pair's ports, 0xff for any other.
  package mutating func read(port: UInt16) -> UInt8 {
    Port(rawValue: port).map { read($0) } ?? 0xff
  }

  package mutating func write(_ value: UInt8, toPort port: UInt16) {
    if let port = Port(rawValue: port) { write(value, to: port) }
  }

  private mutating func read(_ port: Port) -> UInt8 {
    defer { cascade() }
    return switch port {
    case .firstCommand: first.read(isData: false)
    case .firstData: first.read(isData: true)
    case .secondCommand: second.read(isData: false)
    case .secondData: second.read(isData: true)
    case .firstLevels: first.levelTriggered
    case .secondLevels: second.levelTriggered
    }
  }

  private mutating func write(_ value: UInt8, to port: Port) {
    switch port {
    case .firstCommand: first.write(value, isData: false)
    case .firstData: first.write(value, isData: true)
    case .secondCommand: second.write(value, isData: false)
    case .secondData: second.write(value, isData: true)
    case .firstLevels: first.levelTriggered = value & Self.firstLevels
    case .secondLevels: second.levelTriggered = value & Self.secondLevels
    }
    cascade()
  }
}
