import Chipset
import Glibc
import Host
import KVM
import Synchronization

/// The eventfds that raise interrupts (KVM_IRQFD).
final class InterruptEvents: Sendable {
  private struct Connection: Sendable {
    let event: EventDescriptor
    let line: UInt32
    let tag: UInt64
    let resample: EventDescriptor?
  }

  private let connections = Mutex<[Connection]>([])
  /// By line: who is told when its interrupt ends. Taken with the controller's lock held.
  private let resamplers = Mutex<[Int: [EventDescriptor]]>([:])

  /// Has the controller tell of ends.
  func listen(to controller: InterruptController) {
    controller.onEnd { [weak self] line in
      self?.resamplers.withLock { resamplers in
        for event in resamplers[line] ?? [] { event.signal() }
      }
    }
  }

  /// Connects a source; EBUSY for an eventfd that is connected.
  func connect(_ source: InterruptEventSource, to chips: InterruptChips) throws(SystemError) {
    let event = try EventDescriptor(duplicating: source.descriptor)
    var resample: EventDescriptor?
    if let descriptor = source.resample { resample = try EventDescriptor(duplicating: descriptor) }
    let line = Int(source.line)
    if connections.withLock({ $0.contains { $0.event.isSame(as: source.descriptor) } }) {
      throw SystemError(call: "KVM_IRQFD", errno: EBUSY)
    }
    if let resample {
      resamplers.withLock { $0[line, default: []].append(resample) }
      chips.controller.setResampled(true, line: line)
    }
    let (controller, isLevel) = (chips.controller, resample != nil)
    // A count from before the connection is seen, too: the wait is for a state, not a change.
    let tag = try chips.thread.watch(event.rawValue) {
      guard event.take() else { return }
      if isLevel { controller.raiseUntilEnd(line: line) } else { controller.pulse(line: line) }
    }
    let connection = Connection(event: event, line: source.line, tag: tag, resample: resample)
    connections.withLock { $0.append(connection) }
  }

  /// Disconnects every source with this eventfd and line; there is no interrupt of theirs after.
  func disconnect(_ source: InterruptEventSource, from chips: InterruptChips) throws(SystemError) {
    _ = try EventDescriptor(duplicating: source.descriptor)
    let ended = connections.withLock { connections in
      let ended = connections.filter {
        $0.line == source.line && $0.event.isSame(as: source.descriptor)
      }
      connections.removeAll { old in ended.contains { $0.tag == old.tag } }
      return ended
    }
    for connection in ended {
      chips.thread.unwatch(connection.event.rawValue, tag: connection.tag)
      guard let resample = connection.resample else { continue }
      let line = Int(connection.line)
      let isLast = resamplers.withLock { resamplers in
        resamplers[line]?.removeAll { $0 === resample }
        return resamplers[line]?.isEmpty ?? true
      }
      if isLast { chips.controller.setResampled(false, line: line) }
    }
  }
}
