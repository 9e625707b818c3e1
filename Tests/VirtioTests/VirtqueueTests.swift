import GuestMemory
import Testing
import Virtio

@Suite struct VirtqueueTests {
  @Test func `bytes go through a chain of several buffers`() throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    try bench.memory.write(Array("hello, world".utf8), at: 0x8000)
    try bench.driver.describe(3, (0x8000, 7), flags: RingDriver.next, next: 1)
    try bench.driver.describe(1, (0x8007, 5), flags: RingDriver.next, next: 5)
    try bench.driver.describe(5, (0x9000, 3), flags: RingDriver.next | RingDriver.write, next: 2)
    try bench.driver.describe(2, (0xa000, 100), flags: RingDriver.write)
    try bench.driver.offer(3)

    bench.notify()

    #expect(try bench.driver.usedIndex == 1)
    #expect(try bench.driver.used(0) == (3, 12))
    #expect(try bench.memory.bytes(at: 0x9000, count: 4) == Array("hel\0".utf8))
    #expect(try bench.memory.bytes(at: 0xa000, count: 9) == Array("lo, world".utf8))
    #expect(bench.line.isAsserted)
  }

  @Test func `an indirect table holds a chain of its own, after direct buffers`() throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    try bench.memory.write([1, 2, 3, 4], at: 0x8000)
    try bench.driver.describe(0, (0x8000, 1), flags: RingDriver.next, next: 7)
    try bench.driver.describe(7, (0x4000, 48), flags: RingDriver.indirect | RingDriver.write)
    try bench.driver.describe(0, (0x8001, 3), flags: RingDriver.next, next: 2, table: 0x4000)
    try bench.driver.describe(2, (0x9000, 16), flags: RingDriver.write, table: 0x4000)
    try bench.driver.offer(0)

    bench.notify()

    #expect(try bench.driver.used(0) == (0, 4))
    #expect(try bench.memory.bytes(at: 0x9000, count: 5) == [1, 2, 3, 4, 0])
  }

  @Test func `the rings go round and their indices wrap`() throws {
    var bench = try Bench(EchoDevice())
    bench.start(refusing: .eventIndex)
    try bench.driver.describe(4, (0x9000, 1), flags: RingDriver.write)
    for count in 1...0x1_0010 {
      try bench.driver.offer(4)
      bench.notify()
      #expect(try bench.driver.usedIndex == UInt16(truncatingIfNeeded: count))
    }
    #expect(bench.read(0x70) == 0xf)
  }

  /// Each breaks one rule, over a queue of eight; `0` is the head.
  @Test(
    arguments: [
      ("a buffer beyond RAM", [(0, 0xf_fff0, 17, 0, 0)]),
      ("a buffer at the end of the address space", [(0, .max, 16, 2, 0)]),
      ("a loop", [(0, 0x8000, 1, 1, 1), (1, 0x8000, 1, 1, 0)]),
      ("a loop of one", [(0, 0x8000, 1, 1, 0)]),
      ("a descriptor beyond the table", [(0, 0x8000, 1, 1, 8)]),
      ("readable after writable", [(0, 0x8000, 1, 3, 1), (1, 0x8000, 1, 0, 0)]),
      ("an indirect table of half a descriptor", [(0, 0x4000, 24, 4, 0)]),
      ("an empty indirect table", [(0, 0x4000, 0, 4, 0)]),
      ("an indirect table of all memory", [(0, 0x4000, 0xffff_fff0, 4, 0)]),
      ("an indirect table outside RAM", [(0, 0x10_0000, 16, 4, 0)]),
      ("an indirect table that goes on", [(0, 0x4000, 16, 5, 1), (1, 0x8000, 1, 0, 0)]),
      ("an indirect table in an indirect table", [(0, 0x1000, 128, 4, 0)]),
    ] as [(String, [(Int, UInt64, UInt32, UInt16, UInt16)])])
  func `a broken rule stops the device until it is reset`(
    rule: String, descriptors: [(Int, UInt64, UInt32, UInt16, UInt16)]
  ) throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    for (number, address, count, flags, next) in descriptors {
      try bench.driver.describe(number, (address, count), flags: flags, next: next)
    }
    try bench.driver.offer(0)

    bench.notify()

    #expect(bench.read(0x70) == 0x4f, "\(rule): needs a reset")
    #expect(bench.read(0x60) & 2 == 2, "the configuration's interrupt tells the driver")
    #expect(try bench.driver.usedIndex == 0)
    bench.notify()
    #expect(bench.transport.core.device.served == 0)
    bench.start()
    #expect(bench.read(0x70) == 0xf)
  }

  @Test func `an available index that jumps is a fault`() throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    try bench.memory.store(UInt16(9), at: 0x2002)
    bench.notify()
    #expect(bench.read(0x70) == 0x4f)
  }

  @Test func `indirect tables that were not negotiated are a fault`() throws {
    var bench = try Bench(EchoDevice())
    bench.start(refusing: .indirectDescriptors)
    try bench.driver.describe(0, (0x4000, 16), flags: RingDriver.indirect)
    try bench.driver.offer(0)
    bench.notify()
    #expect(bench.read(0x70) == 0x4f)
  }

  @Test func `the event index decides which completions interrupt`() throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    try bench.driver.describe(0, (0x9000, 1), flags: RingDriver.write)
    try bench.driver.wantInterrupt(after: 2)
    var interrupts: [Bool] = []
    for _ in 0..<5 {
      try bench.driver.offer(0)
      bench.notify()
      interrupts.append(bench.line.isAsserted)
      bench.acknowledge()
    }
    #expect(interrupts == [false, false, true, false, false])
    #expect(try bench.driver.availableEvent == 5, "the device has seen all there is")
  }

  @Test func `without the event index a flag silences the device`() throws {
    var bench = try Bench(EchoDevice())
    bench.start(refusing: .eventIndex)
    try bench.driver.describe(0, (0x9000, 1), flags: RingDriver.write)
    try bench.memory.store(UInt16(1), at: 0x2000)
    try bench.driver.offer(0)
    bench.notify()
    #expect(!bench.line.isAsserted)
    try bench.memory.store(UInt16(0), at: 0x2000)
    try bench.driver.offer(0)
    bench.notify()
    #expect(bench.line.isAsserted)
  }
}
