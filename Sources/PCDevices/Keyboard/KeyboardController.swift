public import DeviceModel

/// The PC's keyboard controller (8042) with a keyboard and a mouse.
///
/// It also resets the machine and switches address line 20. Reference: IBM PS/2 Hardware
/// Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
public struct KeyboardController: ByteDevice {
  /// The two wires and what is behind the output port.
  public struct Wiring: Sendable {
    public var keyboard: any InterruptLine
    public var mouse: any InterruptLine
    public var power: @Sendable (PowerRequest) -> Void
    public var setAddressLine20: @Sendable (Bool) -> Void

    public init(
      keyboard: any InterruptLine, mouse: any InterruptLine,
      power: @escaping @Sendable (PowerRequest) -> Void,
      setAddressLine20: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
      (self.keyboard, self.mouse) = (keyboard, mouse)
      (self.power, self.setAddressLine20) = (power, setAddressLine20)
    }
  }

  private let wiring: Wiring
  private var keyboardLine: LineOutput
  private var mouseLine: LineOutput
  private var keyboard = PS2Keyboard()
  private var mouse = PS2Mouse()
  /// The command byte is the first of 32 bytes of memory.
  private var memory: [32 of UInt8] = .init(repeating: 0)
  private var outputPort: UInt8 = OutputPort.idle
  /// The byte the guest reads next, and whether it is the mouse's.
  private var output: (byte: UInt8, isMouse: Bool)?
  private var lastOutput: UInt8 = 0
  /// Answers of the controller itself go before the devices'.
  private var answers = PS2Queue()
  private var mouseAnswers = PS2Queue()
  /// The command whose parameter comes next.
  private var pending: UInt8?
  private var wasCommand = false

  public init(wiring: Wiring) {
    self.wiring = wiring
    keyboardLine = LineOutput(wiring.keyboard)
    mouseLine = LineOutput(wiring.mouse)
    // As firmware leaves it: tested, the keyboard on and translated.
    command = Command.systemFlag | Command.translates | Command.keyboardInterrupt
  }

  public mutating func reset() {
    keyboardLine.drive(false)
    mouseLine.drive(false)
    self = KeyboardController(wiring: wiring)
  }

  /// Bits of the command byte.
  enum Command {
    static let keyboardInterrupt: UInt8 = 0x01
    static let mouseInterrupt: UInt8 = 0x02
    static let systemFlag: UInt8 = 0x04
    static let keyboardOff: UInt8 = 0x10
    static let mouseOff: UInt8 = 0x20
    static let translates: UInt8 = 0x40
  }

  enum OutputPort {
    static let runs: UInt8 = 0x01
    static let line20: UInt8 = 0x02
    static let idle: UInt8 = 0xcf
  }

  private var command: UInt8 {
    get { memory[0] }
    set { memory[0] = newValue }
  }

  /// Sends key codes as the guest reads them with translation on (scan code set 1): whole
  /// sequences; returns `false` when the keyboard is not scanning.
  @discardableResult
  public mutating func press(_ codes: [UInt8]) -> Bool {
    guard keyboard.isScanning else { return false }
    keyboard.output.send(codes)
    update()
    return true
  }

  // MARK: Ports: offset 0 is 0x60, offset 4 is 0x64

  public mutating func readByte(_ offset: UInt64) -> UInt8 {
    switch offset {
    case 0:
      guard let (byte, isMouse) = output else { return lastOutput }
      output = nil
      lastOutput = byte
      // The line drops with each byte, so that the next one is an edge of its own.
      if isMouse { mouseLine.drive(false) } else { keyboardLine.drive(false) }
      update()
      return byte
    case 4: return status
    default: return 0xff
    }
  }

  public mutating func writeByte(_ value: UInt8, to offset: UInt64) {
    switch offset {
    case 0:
      wasCommand = false
      if let command = pending {
        pending = nil
        takeParameter(value, of: command)
      } else {
        self.command &= ~Command.keyboardOff
        keyboard.receive(value)
      }
    case 4:
      wasCommand = true
      pending = nil
      takeCommand(value)
    default: return
    }
    update()
  }

  private var status: UInt8 {
    var status: UInt8 = 0x10 | (command & Command.systemFlag)  // not locked
    if let output { status |= output.isMouse ? 0x21 : 0x01 }
    if wasCommand { status |= 0x08 }
    return status
  }

  private mutating func takeCommand(_ value: UInt8) {
    switch value {
    case 0x20...0x3f: answers.send(memory[Int(value - 0x20)])
    case 0x60...0x7f, 0xd1...0xd4: pending = value
    case 0xa7: command |= Command.mouseOff
    case 0xa8: command &= ~Command.mouseOff
    case 0xa9, 0xab: answers.send(0)  // the devices' wires are in order
    case 0xaa:
      command |= Command.systemFlag
      answers.send(0x55)  // self-test passed
    case 0xad: command |= Command.keyboardOff
    case 0xae: command &= ~Command.keyboardOff
    case 0xc0: answers.send(0x80)  // input port: not locked
    case 0xd0: answers.send(outputPort)
    case 0xe0: answers.send(0)
    // Pulses the output port's low bits whose command bits are zero; the lowest resets.
    case 0xf0...0xff: if value & 1 == 0 { wiring.power(.reset) }
    default: break
    }
  }

  private mutating func takeParameter(_ value: UInt8, of command: UInt8) {
    switch command {
    case 0x60...0x7f: memory[Int(command - 0x60)] = value
    case 0xd1: setOutputPort(value)
    case 0xd2: answers.send(value)
    case 0xd3: mouseAnswers.send(value)
    case 0xd4:
      self.command &= ~Command.mouseOff
      mouse.receive(value)
    default: break
    }
  }

  private mutating func setOutputPort(_ value: UInt8) {
    let changed = outputPort ^ value
    outputPort = value
    if changed & OutputPort.line20 != 0 {
      wiring.setAddressLine20(value & OutputPort.line20 != 0)
    }
    if value & OutputPort.runs == 0 { wiring.power(.reset) }
  }

  /// Fills the output buffer if it is empty, and drives the lines.
  private mutating func update() {
    if output == nil {
      if let byte = answers.next() {
        output = (byte, false)
      } else if let byte = mouseAnswers.next() {
        output = (byte, true)
      } else if command & Command.keyboardOff == 0, let byte = keyboard.output.next() {
        output = (byte, false)
      } else if command & Command.mouseOff == 0, let byte = mouse.output.next() {
        output = (byte, true)
      }
    }
    let isMouse = output?.isMouse ?? false
    keyboardLine.drive(
      output != nil && !isMouse && command & Command.keyboardInterrupt != 0)
    mouseLine.drive(output != nil && isMouse && command & Command.mouseInterrupt != 0)
  }
}

extension KeyboardController: DeviceKind {
  public static let name = "i8042"

  public struct Options: Codable, Sendable {
    public init() {}
  }

  /// Attaches the two ports; port 0x61 between them belongs to the timer.
  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let wiring = Wiring(
      keyboard: board.interrupts.line(PlatformInterrupts.keyboard),
      mouse: board.interrupts.line(PlatformInterrupts.mouse), power: board.power,
      setAddressLine20: board.setAddressLine20)
    let controller = Shared(KeyboardController(wiring: wiring))
    let command = FunctionSlot(
      read: { _, width in controller.read(4, width: width) },
      write: { value, _, width in controller.write(value, to: 4, width: width) })
    let (data, status) = (PlatformPorts.keyboardData, PlatformPorts.keyboardCommand)
    try board.ports.attach(controller, named: name, at: data..<data + 1)
    try board.ports.attach(command, named: name, at: status..<status + 1)
    board.pressKeys = { codes in controller.withLock { _ = $0.press(codes) } }
    board.resets.append { controller.withLock { $0.reset() } }
  }
}
