public import DeviceModel

/// A serial port's receiver, for whoever brings input.
public final class SerialInput: ByteReceiver {
  /// The port behind its lock; the bus calls the same.
  public let port: Shared<SerialPort>

  public init(_ port: Shared<SerialPort>) { self.port = port }

  public func receive(_ bytes: [UInt8]) -> Int { port.withLock { $0.receive(bytes) } }

  public var room: Int { port.withLock { $0.room } }

  public func whenRoom(_ body: @escaping @Sendable () -> Void) {
    port.withLock { $0.hasRoom = body }
  }

  public func receiveBreak() { port.withLock { $0.receiveBreak() } }
}

extension SerialPort: DeviceKind {
  public static let name = "serial"

  public struct Options: Codable, Sendable {
    /// Which of the PC's four ports: 1 to 4.
    public var port: Int
    public init(port: Int = 1) { self.port = port }
  }

  /// Attaches the port as `com1` … `com4`: output goes to the board's sink of that name, and
  /// the board's inputs gain a ``SerialInput``.
  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let range: Range<UInt64>
    let line: Int
    switch options.port {
    case 1: (range, line) = (PlatformPorts.com1, PlatformInterrupts.com1)
    case 2: (range, line) = (PlatformPorts.com2, PlatformInterrupts.com2)
    case 3: (range, line) = (PlatformPorts.com3, PlatformInterrupts.com1)
    case 4: (range, line) = (PlatformPorts.com4, PlatformInterrupts.com2)
    default: throw .badOption(name: "port", problem: "a PC has serial ports 1 to 4")
    }
    let name = "com\(options.port)"
    let port = Shared(
      SerialPort(
        output: board.outputs[name] ?? NullSink(), interrupt: board.interrupts.line(line)))
    try board.ports.attach(port, named: name, at: range)
    board.inputs[name] = SerialInput(port)
    board.resets.append { port.withLock { $0.reset() } }
  }
}
