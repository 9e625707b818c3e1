internal import CLinux
import Glibc

/// Waits for several descriptors at once and calls whoever asked about the one that is ready.
///
/// For a handful of descriptors, on one thread. poll(2) and not epoll(7), because standard input may
/// be a regular file. Other threads reach it through a ``HostEvent`` or a ``HostTimer``.
public final class EventLoop {
  /// What a descriptor must be ready for. One that is closed at the far end counts as ready.
  public enum Readiness: Sendable {
    case readable, writable

    fileprivate var events: CShort {
      switch self {
      case .readable: CShort(POLLIN)
      case .writable: CShort(POLLOUT)
      }
    }
  }

  private struct Watch {
    let readiness: Readiness
    let handler: () -> Void
  }

  private var watches: [CInt: Watch] = [:]
  private var isStopping = false

  public init() {}

  /// Calls `handler` whenever the descriptor is ready, in place of an earlier handler for it.
  public func watch(
    _ descriptor: CInt, for readiness: Readiness = .readable, _ handler: @escaping () -> Void
  ) {
    watches[descriptor] = Watch(readiness: readiness, handler: handler)
  }

  /// Stops asking about a descriptor; before it is closed.
  public func unwatch(_ descriptor: CInt) { watches[descriptor] = nil }

  /// Serves the descriptors until ``stop()``.
  public func run() throws(SystemError) {
    isStopping = false
    while !isStopping { try runOnce(timeout: -1) }
  }

  /// Ends ``run()`` after the handler that calls this.
  public func stop() { isStopping = true }

  /// Waits once, at most `timeout` milliseconds (-1: forever), and serves what is ready.
  public func runOnce(timeout: CInt) throws(SystemError) {
    var polled = watches.sorted { $0.key < $1.key }.map { descriptor, watch in
      pollfd(fd: descriptor, events: watch.readiness.events, revents: 0)
    }
    let ready = unsafe polled.withUnsafeMutableBufferPointer { list in
      unsafe apus_poll(list.baseAddress, CUnsignedInt(list.count), timeout)
    }
    if try checked(ready, "poll") == 0 { return }
    for entry in polled where entry.revents != 0 && !isStopping {
      // An earlier handler of this round may have taken the watch away.
      guard let watch = watches[entry.fd] else { continue }
      watch.handler()
    }
  }
}
