public import DeviceModel
public import Host
import Synchronization

/// Bytes on their way to a descriptor of the host: a queue, and the thread that empties it.
///
/// A device may write with its lock held, so ``write(_:)-(Span<UInt8>)`` never waits. Whoever runs
/// the device calls ``waitForRoom()`` afterwards, with no lock held; that bounds the queue.
/// Lives until ``close()``.
public final class TerminalOutput: ByteSink {
  private struct State: Sendable {
    var queue: [UInt8] = []
    var isWriting = false
    var isClosed = false

    mutating func close() {
      isClosed = true
      queue = []
    }
  }

  /// Bytes in the queue from which on the writers are to wait.
  private static let highWater = 64 << 10

  private let state = Monitor(State())
  private let isCongested = Atomic(false)
  private let descriptor: FileDescriptor
  private let onFailure: @Sendable (SystemError) -> Void

  /// Writes to a duplicate of `descriptor`. `onFailure` is called once, on another thread, when the
  /// host takes no more; what is written from then on is dropped.
  public init(
    to descriptor: CInt, onFailure: @escaping @Sendable (SystemError) -> Void = { _ in }
  ) throws(SystemError) {
    self.descriptor = try .duplicate(of: descriptor)
    self.onFailure = onFailure
    _ = try HostThread(named: "output \(descriptor)") { self.empty() }
  }

  public func write(_ bytes: Span<UInt8>) {
    let count = state.change { state in
      guard !state.isClosed else { return 0 }
      for index in bytes.indices { state.queue.append(bytes[index]) }
      return state.queue.count
    }
    if count >= Self.highWater { isCongested.store(true, ordering: .relaxed) }
  }

  /// Queues text.
  public func write(_ text: String) {
    let bytes = [UInt8](text.utf8)
    write(bytes.span)
  }

  /// Waits while the queue is too long; costs one load when it is not.
  public func waitForRoom() {
    guard isCongested.load(ordering: .relaxed) else { return }
    _ = state.wait { $0.isClosed || $0.queue.count < Self.highWater ? true : nil }
    isCongested.store(false, ordering: .relaxed)
  }

  /// Waits until everything queued has been written, at most until `deadline`; returns whether it
  /// has.
  public func drain(by deadline: UInt64) -> Bool {
    state.wait(until: deadline) { state in
      state.isClosed || (state.queue.isEmpty && !state.isWriting) ? true : nil
    } ?? false
  }

  /// Takes no more, and drops what has not been written.
  public func close() { state.change { $0.close() } }

  /// The thread: writes what is queued until the queue is closed.
  private func empty() {
    while let bytes = next() {
      do throws(SystemError) {
        try descriptor.writeAll(bytes)
      } catch {
        state.change { $0.close() }
        onFailure(error)
      }
      state.change { $0.isWriting = false }
    }
  }

  /// Takes the whole queue once there is something in it; `nil` once it is closed.
  private func next() -> [UInt8]? {
    state.wait { state -> [UInt8]?? in
      if state.isClosed { return .some(nil) }
      if state.queue.isEmpty { return nil }
      defer { state.queue = [] }
      state.isWriting = true
      return state.queue
    } ?? nil
  }
}
