public import DeviceModel
import Synchronization

/// Keeps the messages that devices send.
public final class FakeMessages: MessageInterrupts {
  public struct Message: Hashable, Sendable {
    public let address: UInt64
    public let data: UInt32

    public init(address: UInt64, data: UInt32) { (self.address, self.data) = (address, data) }
  }

  private let sent = Mutex<[Message]>([])

  public init() {}

  public func send(address: UInt64, data: UInt32) {
    sent.withLock { $0.append(Message(address: address, data: data)) }
  }

  /// What was sent since the last question.
  public func take() -> [Message] {
    sent.withLock { sent in
      defer { sent = [] }
      return sent
    }
  }
}
