public import DeviceModel

/// Port 0x80, where firmware shows how far it has come and Linux writes to pass a microsecond.
public struct PostCode: ByteDevice {
  /// The code last written.
  public private(set) var code: UInt8 = 0

  public init() {}

  public mutating func readByte(_ offset: UInt64) -> UInt8 { code }

  public mutating func writeByte(_ value: UInt8, to offset: UInt64) { code = value }
}

extension PostCode: DeviceKind {
  public static let name = "post"

  public struct Options: Codable, Sendable {
    public init() {}
  }

  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let port = PlatformPorts.postCode
    try board.ports.attach(Shared(PostCode()), named: name, at: port..<port + 1)
  }
}

/// A console that firmware writes a byte at a time; reads say that it is there.
public struct DebugConsole: ByteDevice {
  private let output: any ByteSink

  public init(output: any ByteSink) { self.output = output }

  /// The value by which SeaBIOS and OVMF recognise the port.
  private static let present: UInt8 = 0xe9

  public mutating func readByte(_ offset: UInt64) -> UInt8 { Self.present }

  public mutating func writeByte(_ value: UInt8, to offset: UInt64) { output.write(value) }
}

extension DebugConsole: DeviceKind {
  public static let name = "debugcon"

  public struct Options: Codable, Sendable {
    /// The port's number.
    public var port: UInt16
    public init(port: UInt16 = UInt16(PlatformPorts.debugConsole)) { self.port = port }
  }

  /// Attaches the console; its output goes to the board's sink of the same name.
  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let console = DebugConsole(output: board.outputs[name] ?? NullSink())
    let port = UInt64(options.port)
    try board.ports.attach(Shared(console), named: name, at: port..<port + 1)
  }
}

/// The console of a bare guest: every byte of a write, whatever its width, goes out.
public struct ConsolePort: BusDevice {
  /// Where guests of this kind expect it, since Bochs.
  public static let ports: Range<UInt64> = 0xe9..<0xed

  private let output: any ByteSink

  public init(output: any ByteSink) { self.output = output }

  /// Says that it is there, as Bochs does.
  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 { 0xe9 }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    for index in 0..<UInt64(width.bytes) {
      output.write(UInt8(truncatingIfNeeded: value >> (8 * index)))
    }
  }
}

/// Ends the run of a bare guest: the byte written is its exit status.
public struct ExitPort: ByteDevice {
  /// Where QEMU's device for the same purpose usually is.
  public static let port: UInt64 = 0xf4

  private let exit: @Sendable (PowerRequest) -> Void

  /// - Parameter exit: takes the request, with the device's lock held.
  public init(exit: @escaping @Sendable (PowerRequest) -> Void) { self.exit = exit }

  public mutating func readByte(_ offset: UInt64) -> UInt8 { 0xff }

  public mutating func writeByte(_ value: UInt8, to offset: UInt64) { exit(.exit(value)) }
}
