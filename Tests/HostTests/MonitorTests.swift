import Host
import Testing

@Suite struct MonitorTests {
  @Test func `a waiting thread sees the change it waits for`() throws {
    let monitor = Monitor(0)
    let thread = try HostThread(named: "changer") {
      for _ in 0..<100 { monitor.change { $0 += 1 } }
    }

    let seen = monitor.wait { $0 >= 100 ? $0 : nil }
    thread.join()

    #expect(seen == 100)
  }

  @Test func `a wait ends at its deadline, not before`() {
    let monitor = Monitor(false)
    let start = HostClock.nanoseconds

    let seen: Bool? = monitor.wait(until: start + 3_000_000) { $0 ? true : nil }

    #expect(seen == nil)
    #expect(HostClock.nanoseconds - start >= 3_000_000)
  }

  @Test func `a deadline that has passed still looks once`() {
    let monitor = Monitor(7)
    #expect(monitor.wait(until: 0) { $0 } == 7)
  }

  @Test func `two threads that count under the lock lose nothing`() throws {
    let monitor = Monitor(0)
    let threads = try (0..<2).map { index in
      try HostThread(named: "counter \(index)") {
        for _ in 0..<10_000 { monitor.withLock { $0 += 1 } }
      }
    }
    for thread in threads { thread.join() }

    #expect(monitor.withLock { $0 } == 20_000)
  }
}
