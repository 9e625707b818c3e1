extension SerialPort {
  /// The eight registers; the first two show the divisor while the line control says so.
  enum Register: UInt64 {
    case data = 0
    case enable
    /// Reads identify the interrupt, writes control the FIFOs.
    case identification
    case lineControl
    case modemControl
    case lineStatus
    case modemStatus
    case scratch
  }

  struct InterruptEnable: OptionSet {
    let rawValue: UInt8
    static let received = Self(rawValue: 0x01)
    static let transmitter = Self(rawValue: 0x02)
    static let lineStatus = Self(rawValue: 0x04)
    static let modem = Self(rawValue: 0x08)
  }

  struct LineStatus: OptionSet {
    let rawValue: UInt8
    static let dataReady = Self(rawValue: 0x01)
    static let overrun = Self(rawValue: 0x02)
    static let breakReceived = Self(rawValue: 0x10)
    static let transmitterEmpty = Self(rawValue: 0x20)
    static let transmitterIdle = Self(rawValue: 0x40)
    static let errorInFIFO = Self(rawValue: 0x80)
  }

  enum Cause: UInt8 {
    case modem = 0x00
    case none = 0x01
    case transmitter = 0x02
    case received = 0x04
    case lineStatus = 0x06
    case timeout = 0x0c
  }
}

/// The receiver's 16 bytes; each may stand for a break instead of a character.
struct ReceiveFIFO: Sendable {
  static let size = 16

  private var bytes: [16 of UInt8] = .init(repeating: 0)
  private var breaks: UInt16 = 0
  private var first = 0
  private(set) var count = 0

  /// Adds a byte; the caller has checked that there is room.
  mutating func push(_ byte: UInt8, isBreak: Bool) {
    let index = (first + count) % Self.size
    bytes[index] = byte
    let bit: UInt16 = 1 << UInt16(index)
    breaks = isBreak ? breaks | bit : breaks & ~bit
    count += 1
  }

  /// Takes the oldest byte; zero when there is none.
  mutating func pop() -> UInt8 {
    guard count > 0 else { return 0 }
    defer {
      acknowledgeBreak()
      first = (first + 1) % Self.size
      count -= 1
    }
    return bytes[first]
  }

  mutating func clear() { (first, count, breaks) = (0, 0, 0) }

  /// Whether the oldest byte is a break that nobody has been told of.
  var isBreak: Bool { count > 0 && breaks >> UInt16(first) & 1 != 0 }
  var hasBreak: Bool { breaks != 0 }

  mutating func acknowledgeBreak() { breaks &= ~(1 << UInt16(first)) }
}
