import GuestMemory
import Testing
import Virtio

@Suite struct EntropyDeviceTests {
  @Test func `a request gets as many bytes as it has room for, and no two the same`() throws {
    var bench = try Bench(EntropyDevice())
    bench.start()
    #expect(bench.read(0x08) == 4)
    try bench.driver.describe(0, (0x8000, 300), flags: RingDriver.next | RingDriver.write, next: 1)
    try bench.driver.describe(1, (0x9000, 20), flags: RingDriver.write)
    try bench.driver.describe(2, (0xa000, 320), flags: RingDriver.write)
    try bench.driver.offer(0)
    try bench.driver.offer(2)

    bench.notify()

    #expect(try bench.driver.used(0) == (0, 320))
    #expect(try bench.driver.used(1) == (2, 320))
    let first = try bench.memory.bytes(at: 0x8000, count: 300)
    #expect(first != (try bench.memory.bytes(at: 0xa000, count: 300)))
    #expect(Set(first).count > 100, "300 random bytes have about 177 different values")
    #expect(try bench.memory.bytes(at: 0x8000 + 300, count: 20) == [UInt8](repeating: 0, count: 20))
  }

  @Test func `a request for all memory gets a bounded answer`() throws {
    var bench = try Bench(EntropyDevice())
    bench.start()
    try bench.driver.describe(0, (0x1_0000, 0xf_0000), flags: RingDriver.write)
    try bench.driver.offer(0)
    bench.notify()
    #expect(try bench.driver.used(0) == (0, 64 << 10))
  }

  @Test func `a request without room is given back`() throws {
    var bench = try Bench(EntropyDevice())
    bench.start()
    try bench.driver.describe(0, (0x8000, 16))
    try bench.driver.offer(0)
    bench.notify()
    #expect(try bench.driver.used(0) == (0, 0))
    #expect(try bench.driver.usedIndex == 1)
  }
}
