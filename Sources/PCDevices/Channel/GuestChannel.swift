public import DeviceModel

/// The path between the first program in a guest of ours and the monitor, beside the console.
///
/// Three 32-bit ports. *Control* reads as a magic number; a write has a command in its low byte and
/// a number in the rest. After a command for output, that many bytes come through the *data* port,
/// as many at once as the access is wide. Reading the data port gives bytes of standard input, of
/// which the *input* port tells the number: all ones when no more will come.
///
/// The guest's end is `Guests/init/channel.h`.
public struct GuestChannel: BusDevice {
  /// What the guest tells of itself.
  public enum Event: Hashable, Sendable {
    /// Its first program runs.
    case started
    /// The command it ran has ended, and everything it wrote has arrived. Nothing more will come.
    case exited(status: UInt8)
  }

  /// Where the device is.
  public static let ports: Range<UInt64> = 0xa50..<0xa5c

  private enum Register: UInt64 {
    case control = 0
    case data = 4
    case input = 8
  }

  private enum Command: UInt8 {
    case output = 1
    case error = 2
    case started = 3
    case exited = 4
  }

  /// "APUS" in little-endian order.
  private static let magic: UInt64 = 0x5355_5041
  private static let endOfInput: UInt64 = 0xffff_ffff
  /// Output is passed on in pieces of at most this size, whatever the guest announces.
  private static let pieceSize = 64 << 10
  /// Input that waits here for the guest to fetch it.
  private static let inputCapacity = 64 << 10

  private let sinks: (output: any ByteSink, error: any ByteSink)
  private let onEvent: @Sendable (Event) -> Void
  private var stream = Command.output
  /// How many bytes of the announced output are still to come.
  private var expected = 0
  private var piece: [UInt8] = []
  private var input: [UInt8] = []
  private var inputStart = 0
  private var isInputOver = false
  /// Called when the guest has fetched input and there is room for more.
  var hasRoom: (@Sendable () -> Void)?

  /// `onEvent` is called with the device's lock held, so it only notes what it is told.
  public init(
    output: any ByteSink, error: any ByteSink, onEvent: @escaping @Sendable (Event) -> Void
  ) {
    sinks = (output, error)
    self.onEvent = onEvent
  }

  // MARK: The host's side

  var room: Int { isInputOver ? 0 : Self.inputCapacity - (input.count - inputStart) }

  /// Takes as many bytes as there is room for; returns how many.
  mutating func receive(_ bytes: [UInt8]) -> Int {
    let count = min(bytes.count, room)
    input.removeFirst(inputStart)
    inputStart = 0
    input += bytes.prefix(count)
    return count
  }

  /// Tells the guest that standard input ends after what it has not fetched yet.
  mutating func endInput() { isInputOver = true }

  // MARK: Registers

  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    switch Register(rawValue: offset) {
    case .control: return Self.magic & width.mask
    case .input: return waitingInput & width.mask
    case .data: return readData(width)
    case nil: return width.mask
    }
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    switch Register(rawValue: offset) {
    case .control: execute(value)
    case .data: writeData(value, width)
    case .input, nil: break
    }
  }

  private var waitingInput: UInt64 {
    let count = input.count - inputStart
    return count == 0 && isInputOver ? Self.endOfInput : UInt64(count)
  }

  private mutating func readData(_ width: AccessWidth) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<width.bytes where inputStart < input.count {
      value |= UInt64(input[inputStart]) << UInt64(8 * index)
      inputStart += 1
    }
    if inputStart == input.count { hasRoom?() }
    return value
  }

  private mutating func execute(_ value: UInt64) {
    let number = Int(value >> 8 & 0xff_ffff)
    switch Command(rawValue: UInt8(value & 0xff)) {
    case .started: onEvent(.started)
    case .exited:
      flush()
      onEvent(.exited(status: UInt8(number & 0xff)))
    case .output: expect(number, .output)
    case .error: expect(number, .error)
    case nil: break
    }
  }

  private mutating func expect(_ count: Int, _ stream: Command) {
    flush()
    (self.stream, expected) = (stream, count)
  }

  private mutating func writeData(_ value: UInt64, _ width: AccessWidth) {
    for index in 0..<min(width.bytes, expected) {
      piece.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
    }
    expected -= min(width.bytes, expected)
    if expected == 0 || piece.count >= Self.pieceSize { flush() }
  }

  /// Passes on what has arrived of the current stream.
  private mutating func flush() {
    if piece.isEmpty { return }
    (stream == .error ? sinks.error : sinks.output).write(piece.span)
    piece.removeAll(keepingCapacity: true)
  }
}
