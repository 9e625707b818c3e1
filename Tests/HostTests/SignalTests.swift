import Foundation
import Host
import Synchronization
import Testing

@Suite struct SignalTests {
  /// A value that one thread leaves for another.
  private final class Box<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    func put(_ new: Value) { value.withLock { $0 = new } }
    func take() -> Value? { value.withLock { $0 } }
  }

  @Test func `a signal to the thread is read, not delivered`() throws {
    let seen = Box<[CInt?]>()

    // On a thread of its own: what it blocks stays blocked there only.
    let thread = try HostThread(named: "signals") {
      guard let source = try? SignalSource([SIGUSR1, SIGWINCH]) else { return }
      pthread_kill(pthread_self(), SIGUSR1)
      seen.put([source.next(), source.next()])
    }
    thread.join()

    #expect(seen.take() == [SIGUSR1, nil])
  }

  @Test func `a thread carries its name, cut to what the kernel keeps`() throws {
    let name = Box<String>()

    let thread = try HostThread(named: "a name of many letters", stackSize: 1 << 20) {
      name.put((try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? "")
    }
    thread.join()

    #expect(name.take() == "a name of many \n")
  }

  @Test func `a stack too small for any thread is refused with the number`() {
    #expect(throws: SystemError(call: "pthread_attr_setstacksize", errno: EINVAL)) {
      try HostThread(named: "tiny", stackSize: 1) {}.join()
    }
  }
}
