public import DeviceModel

/// A 16550A UART. Sending takes no time; received bytes wait in the FIFO until they are read.
///
/// Reference: National Semiconductor PC16550D data sheet.
public struct SerialPort: ByteDevice {
  private let output: any ByteSink
  private var interrupt: LineOutput
  private var input = ReceiveFIFO()
  /// Called when a receiver that was full is empty again.
  var hasRoom: (@Sendable () -> Void)?
  private var wasFull = false

  private var enabled: InterruptEnable = []
  private var lineControl: UInt8 = 0
  private var modemControl: UInt8 = 0
  /// Changes of the modem's lines since the status was last read, in its low four bits.
  private var modemChanges: UInt8 = 0
  private var errors: LineStatus = []
  private var scratch: UInt8 = 0
  private var divisor: UInt16 = 12
  private var usesFIFO = false
  private var trigger = 1
  /// The transmitter has become empty and nobody was told yet.
  private var isTransmitterNews = false

  public init(output: any ByteSink, interrupt: any InterruptLine) {
    self.output = output
    self.interrupt = LineOutput(interrupt)
  }

  /// The state after power-on; the wiring stays.
  public mutating func reset() {
    var fresh = SerialPort(output: output, interrupt: UnconnectedLine())
    interrupt.drive(false)
    (fresh.interrupt, fresh.hasRoom) = (interrupt, hasRoom)
    self = fresh
    hasRoom?()
  }

  // MARK: The host's side

  /// How many bytes the receiver has room for.
  public var room: Int { isLoopback ? 0 : (usesFIFO ? ReceiveFIFO.size : 1) - input.count }

  /// Takes as many bytes as there is room for; returns how many.
  public mutating func receive(_ bytes: some Sequence<UInt8>) -> Int {
    var taken = 0
    for byte in bytes {
      guard room > 0 else {
        wasFull = true
        break
      }
      input.push(byte, isBreak: false)
      taken += 1
    }
    updateInterrupt()
    return taken
  }

  /// Takes a break condition: what Linux' console wants before a SysRq key.
  public mutating func receiveBreak() {
    guard room > 0 else { return }
    input.push(0, isBreak: true)
    updateInterrupt()
  }

  // MARK: Registers

  public mutating func readByte(_ offset: UInt64) -> UInt8 {
    guard let register = Register(rawValue: offset) else { return 0xff }
    switch register {
    case .data where selectsDivisor: return UInt8(divisor & 0xff)
    case .enable where selectsDivisor: return UInt8(divisor >> 8)
    case .data: return readData()
    case .enable: return enabled.rawValue
    case .identification: return readIdentification()
    case .lineControl: return lineControl
    case .modemControl: return modemControl
    case .lineStatus:
      let status = lineStatus
      errors = []
      if input.isBreak { input.acknowledgeBreak() }
      updateInterrupt()
      return status.rawValue
    case .modemStatus:
      let status = modemLines | modemChanges
      modemChanges = 0
      updateInterrupt()
      return status
    case .scratch: return scratch
    }
  }

  public mutating func writeByte(_ value: UInt8, to offset: UInt64) {
    guard let register = Register(rawValue: offset) else { return }
    switch register {
    case .data where selectsDivisor: divisor = divisor & 0xff00 | UInt16(value)
    case .enable where selectsDivisor: divisor = divisor & 0xff | UInt16(value) << 8
    case .data: transmit(value)
    case .enable: setEnabled(InterruptEnable(rawValue: value & 0x0f))
    case .identification: setFIFOControl(value)
    case .lineControl: lineControl = value
    case .modemControl: setModemControl(value & 0x1f)
    case .lineStatus, .modemStatus: break
    case .scratch: scratch = value
    }
    updateInterrupt()
  }

  private var selectsDivisor: Bool { lineControl & 0x80 != 0 }
  private var isLoopback: Bool { modemControl & 0x10 != 0 }

  private mutating func readData() -> UInt8 {
    let byte = input.pop()
    if input.count == 0 { tellRoom() }
    updateInterrupt()
    return byte
  }

  private mutating func tellRoom() {
    guard wasFull else { return }
    wasFull = false
    hasRoom?()
  }

  private mutating func transmit(_ byte: UInt8) {
    if !isLoopback {
      output.write(byte)
    } else if input.count < (usesFIFO ? ReceiveFIFO.size : 1) {
      input.push(byte, isBreak: false)
    } else {
      errors.insert(.overrun)
    }
    isTransmitterNews = true
  }

  private mutating func setEnabled(_ new: InterruptEnable) {
    // The transmitter is always empty, and says so to whoever begins to listen.
    if new.contains(.transmitter), !enabled.contains(.transmitter) { isTransmitterNews = true }
    enabled = new
  }

  private mutating func setFIFOControl(_ value: UInt8) {
    let enables = value & 1 != 0
    if enables != usesFIFO || (enables && value & 2 != 0) {
      input.clear()
      tellRoom()
    }
    usesFIFO = enables
    trigger = enables ? [1, 4, 8, 14][Int(value >> 6)] : 1
  }

  // MARK: The modem's lines

  /// The upper half of the modem status: connected, ready, or in loopback our own outputs.
  private var modemLines: UInt8 {
    guard isLoopback else { return 0xb0 }
    return (modemControl & 0x02) << 3 | (modemControl & 0x01) << 5
      | (modemControl & 0x0c) << 4
  }

  private mutating func setModemControl(_ value: UInt8) {
    let before = modemLines
    let wasLoopback = isLoopback
    modemControl = value
    let changed = before ^ modemLines
    // The ring indicator counts when it ends, the others on any change.
    let ring = before & ~modemLines & 0x40
    modemChanges |= (changed & 0xb0 | ring) >> 4
    if wasLoopback, !isLoopback {
      wasFull = true
      if input.count == 0 { tellRoom() }
    }
  }

  // MARK: Interrupts

  private var lineStatus: LineStatus {
    var status: LineStatus = [errors, .transmitterEmpty, .transmitterIdle]
    if input.count > 0 { status.insert(.dataReady) }
    if input.isBreak { status.insert(.breakReceived) }
    if usesFIFO, input.hasBreak { status.insert(.errorInFIFO) }
    return status
  }

  /// The cause with the highest priority, as the identification register shows it.
  private var cause: Cause {
    if enabled.contains(.lineStatus), !errors.isEmpty || input.isBreak { return .lineStatus }
    if enabled.contains(.received), input.count > 0 {
      // Fewer bytes than asked for: the time-out that follows is over at once.
      return input.count >= trigger ? .received : .timeout
    }
    if enabled.contains(.transmitter), isTransmitterNews { return .transmitter }
    if enabled.contains(.modem), modemChanges != 0 { return .modem }
    return .none
  }

  private mutating func readIdentification() -> UInt8 {
    let cause = cause
    if cause == .transmitter {
      isTransmitterNews = false
      updateInterrupt()
    }
    return cause.rawValue | (usesFIFO ? 0xc0 : 0)
  }

  private mutating func updateInterrupt() {
    // On a PC the output OUT2 connects the UART to its interrupt line.
    interrupt.drive(cause != .none && modemControl & 0x08 != 0)
  }
}
