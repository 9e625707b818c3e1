import Foundation
import Host
import Testing

@Suite struct EventLoopTests {
  @Test func `an event from another thread wakes the loop`() throws {
    let (loop, event) = (EventLoop(), try HostEvent())
    loop.watch(event.descriptor.rawValue) {
      event.clear()
      loop.stop()
    }

    let thread = try HostThread(named: "waker") { event.signal() }
    try loop.run()

    thread.join()
    var woken = false
    loop.watch(event.descriptor.rawValue) { woken = true }
    try loop.runOnce(timeout: 0)
    #expect(!woken, "a cleared event is not ready")
  }

  @Test func `a timer goes off once, not before its time`() throws {
    let (loop, timer) = (EventLoop(), try HostTimer())
    let start = HostClock.nanoseconds
    var fired = 0
    loop.watch(timer.descriptor.rawValue) {
      timer.clear()
      fired += 1
      loop.stop()
    }

    timer.arm(at: start + 3_000_000)
    try loop.run()
    try loop.runOnce(timeout: 5)

    #expect(fired == 1)
    #expect(HostClock.nanoseconds - start >= 3_000_000)
  }

  @Test func `a timer set in the past goes off at once, a disarmed one never`() throws {
    let (loop, timer) = (EventLoop(), try HostTimer())
    var fired = 0
    loop.watch(timer.descriptor.rawValue) {
      timer.clear()
      fired += 1
    }

    timer.arm(at: 0)
    try loop.runOnce(timeout: 1000)
    #expect(fired == 1)

    timer.arm(at: HostClock.nanoseconds + 1_000_000)
    timer.disarm()
    try loop.runOnce(timeout: 5)
    #expect(fired == 1)
  }

  @Test func `a handler may end the watch of a descriptor that is ready too`() throws {
    let (loop, first, second) = (EventLoop(), try HostEvent(), try HostEvent())
    var served = 0
    for (own, other) in [(first, second), (second, first)] {
      loop.watch(own.descriptor.rawValue) {
        served += 1
        loop.unwatch(other.descriptor.rawValue)
      }
    }

    first.signal()
    second.signal()
    try loop.runOnce(timeout: 1000)

    #expect(served == 1)
  }

  @Test func `an empty regular file is always ready, and at its end`() throws {
    let loop = EventLoop()
    let file = try FileDescriptor.open("/dev/null", O_RDONLY)
    var bytes: [UInt8]? = nil
    let descriptor = file.rawValue
    loop.watch(descriptor) { bytes = [] }

    try loop.runOnce(timeout: 0)

    #expect(bytes == [])
    #expect(try file.read(upTo: 8) == [])
  }

  @Test func `bytes written to a pipe come out of it`() throws {
    var ends: [CInt] = [0, 0]
    #expect(pipe(&ends) == 0)
    let reading = FileDescriptor(owning: ends[0])
    let writing = FileDescriptor(owning: ends[1])

    try writing.writeAll([1, 2, 3])

    #expect(try reading.read(upTo: 2) == [1, 2])
    #expect(try reading.read(upTo: 2) == [3])
  }

  @Test func `opening what is not there reports the number`() {
    #expect(throws: SystemError(call: "open", errno: ENOENT)) {
      _ = try FileDescriptor.open("/nonexistent/file", O_RDONLY).rawValue
    }
  }
}
