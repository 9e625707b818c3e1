public import DeviceModel
import Glibc
public import Host

/// Recognises the key that leaves a guest: Ctrl-] three times within a second.
public struct LeaveKey: Hashable, Sendable {
  /// Ctrl-].
  public static let byte: UInt8 = 0x1d
  private static let interval: UInt64 = 1_000_000_000

  /// When the key was pressed last and the time before, with no other key between.
  private var presses: [UInt64] = []

  public init() {}

  /// Takes what was typed at `time`, in nanoseconds; returns whether it completes the three.
  public mutating func sees(_ bytes: some Sequence<UInt8>, at time: UInt64) -> Bool {
    for byte in bytes {
      guard byte == Self.byte else {
        presses = []
        continue
      }
      presses.removeAll { time &- $0 > Self.interval }
      presses.append(time)
      if presses.count == 3 { return true }
    }
    return false
  }
}

/// Carries what arrives on a descriptor of the host to a device, as fast as its guest reads.
///
/// Belongs to the thread of its event loop.
public final class TerminalInput {
  /// How the input ended.
  public enum End: Sendable {
    /// Nothing more will come; for a terminal, its other side is gone.
    case exhausted
    /// Somebody at the terminal wants to leave the guest.
    case left
  }

  /// What a guest that does not read may leave waiting here. A terminal is read on regardless, so
  /// that the leave key is seen, and keys beyond this are lost.
  private static let capacity = 4096

  private let descriptor: FileDescriptor
  private let loop: EventLoop
  private let receiver: any ByteReceiver
  private let isTerminal: Bool
  private let hasRoom: HostEvent
  private let onEnd: (End) -> Void
  private var waiting: [UInt8] = []
  private var leaveKey = LeaveKey()
  private var isExhausted = false

  /// Reads a duplicate of `descriptor`; `onEnd` is called on the loop's thread, once.
  public init(
    from descriptor: CInt, to receiver: any ByteReceiver, on loop: EventLoop,
    onEnd: @escaping (End) -> Void
  ) throws(SystemError) {
    let own = try FileDescriptor.duplicate(of: descriptor)
    let event = try HostEvent()
    isTerminal = TerminalModes.isTerminal(descriptor)
    self.descriptor = own
    (hasRoom, self.loop, self.receiver, self.onEnd) = (event, loop, receiver, onEnd)
    receiver.whenRoom { event.signal() }
    loop.watch(event.descriptor.rawValue) { [unowned self] in
      hasRoom.clear()
      pass()
    }
    watch()
  }

  /// Stops reading; the device keeps what it has.
  public func close() {
    loop.unwatch(descriptor.rawValue)
    loop.unwatch(hasRoom.descriptor.rawValue)
  }

  private func watch() {
    loop.watch(descriptor.rawValue) { [unowned self] in read() }
  }

  private func read() {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try descriptor.read(upTo: Self.capacity)
    } catch {
      // Somebody else may have made the open file non-blocking.
      if error.errno == EAGAIN { return }
      bytes = []
    }
    if bytes.isEmpty {
      isExhausted = true
      loop.unwatch(descriptor.rawValue)
      pass()
    } else if isTerminal && leaveKey.sees(bytes, at: HostClock.nanoseconds) {
      close()
      onEnd(.left)
    } else {
      if waiting.count < Self.capacity { waiting += bytes }
      pass()
    }
  }

  /// Gives the device what it has room for, and goes on reading if that leaves room here.
  private func pass() {
    if !waiting.isEmpty { waiting.removeFirst(receiver.receive(waiting)) }
    if isExhausted {
      // What a closed terminal left behind has no reader that could answer.
      guard waiting.isEmpty || isTerminal else { return }
      close()
      onEnd(.exhausted)
    } else if !isTerminal {
      if waiting.count < Self.capacity { watch() } else { loop.unwatch(descriptor.rawValue) }
    }
  }
}
