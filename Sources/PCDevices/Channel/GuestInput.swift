public import DeviceModel

/// The standard input of the command in the guest, for whoever brings it.
public final class GuestInput: ByteReceiver {
  private let channel: Shared<GuestChannel>

  public init(_ channel: Shared<GuestChannel>) { self.channel = channel }

  public func receive(_ bytes: [UInt8]) -> Int { channel.withLock { $0.receive(bytes) } }

  public var room: Int { channel.withLock { $0.room } }

  public func whenRoom(_ body: @escaping @Sendable () -> Void) {
    channel.withLock { $0.hasRoom = body }
  }

  /// No more will come.
  public func end() { channel.withLock { $0.endInput() } }
}

extension GuestChannel {
  /// The board's name for the input of ``attach(to:onEvent:)``.
  public static let name = "channel"

  /// Attaches a channel: output goes to the board's sinks `channel` and `channel-error`; the
  /// board's inputs gain a ``GuestInput`` named `channel`.
  public static func attach(
    to board: inout Board, onEvent: @escaping @Sendable (Event) -> Void
  ) throws(AttachError) {
    let channel = Shared(
      GuestChannel(
        output: board.outputs[name] ?? NullSink(),
        error: board.outputs[name + "-error"] ?? NullSink(), onEvent: onEvent))
    try board.ports.attach(channel, named: name, at: ports)
    board.inputs[name] = GuestInput(channel)
  }
}
