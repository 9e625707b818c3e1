import DeviceModel
import GuestMemory
import Testing
import Virtio

@Suite struct BlockDeviceTests {
  private static let (success, failure, unsupported) = (0, 1, 2) as (UInt8, UInt8, UInt8)

  @Test func `a guest reads and writes sectors`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8))
    #expect(try bench.perform(0, sector: 2, count: 1024, isRead: true) == Self.success)
    #expect(
      try bench.memory.bytes(at: 0x8000, count: 1024)
        == [UInt8](repeating: 3, count: 512) + [UInt8](repeating: 4, count: 512))
    #expect(try bench.driver.used(0) == (0, 1025))

    try bench.memory.write([UInt8](repeating: 0xaa, count: 512), at: 0x8000)
    #expect(try bench.perform(1, sector: 7, count: 512) == Self.success)
    #expect(bench.store.bytes[3584...] == [UInt8](repeating: 0xaa, count: 512)[...])
    #expect(bench.store.bytes[3583] == 7)
    #expect(try bench.driver.used(1) == (0, 1))
  }

  @Test(
    arguments: [(7, 1024), (8, 512), (1 << 55, 512), (.max, 512), (0, 100)] as [(UInt64, UInt32)])
  func `what is outside the disk or no whole sector fails`(sector: UInt64, count: UInt32) throws {
    for kind in 0...1 as ClosedRange<UInt32> {
      var bench = try DiskBench(MemoryStore(sectors: 8))
      #expect(try bench.perform(kind, sector: sector, count: count, isRead: kind == 0) == 1)
      #expect(bench.store.done.isEmpty)
    }
  }

  @Test func `a disk that is only read says so and takes no writes`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8, isReadOnly: true))
    bench.write(0, to: 0x14)
    #expect(bench.read(0x10) & 1 << 5 != 0)
    #expect(bench.read(0x10) & (1 << 13 | 1 << 14) == 0)
    #expect(try bench.perform(1, sector: 0, count: 512) == Self.failure)
    #expect(try bench.clear(11, sector: 0, count: 1) == Self.failure)
    #expect(try bench.perform(0, sector: 0, count: 512, isRead: true) == Self.success)
    #expect(bench.store.done == [.read])
  }

  @Test func `discarding and clearing take whole ranges of the disk only`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8))
    #expect(try bench.clear(11, sector: 1, count: 2) == Self.success)
    #expect(try bench.clear(13, sector: 6, count: 2, flags: 1) == Self.success)
    #expect(bench.store.done == [.discard, .writeZeroes])
    #expect(bench.store.bytes.indices.filter { bench.store.bytes[$0] == 0 }.count == 2048)
    for (sector, count, flags) in [(7, 2, 0), (1 << 60, 1, 0), (0, 1 << 31, 0), (0, 1, 2)]
      as [(UInt64, UInt32, UInt32)]
    {
      #expect(try bench.clear(13, sector: sector, count: count, flags: flags) == Self.failure)
    }
    #expect(try bench.clear(11, sector: 0, count: 1, flags: 1) == Self.failure)
    #expect(bench.store.done.count == 2)
  }

  @Test func `a disk that cannot discard does not know the request`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8, canDiscard: false))
    #expect(try bench.clear(11, sector: 0, count: 1) == Self.unsupported)
    #expect(try bench.perform(99) == Self.unsupported)
  }

  @Test func `the name is twenty bytes at most`() throws {
    for (serial, name) in [("abc", "abc"), ("0123456789abcdefghijklm", "0123456789abcdefghij")] {
      var bench = try DiskBench(MemoryStore(sectors: 1), serial: serial)
      #expect(try bench.perform(8, count: 20, isRead: true) == Self.success)
      let bytes = try bench.memory.bytes(at: 0x8000, count: 20)
      #expect(bytes == Array(name.utf8) + [UInt8](repeating: 0, count: 20 - name.utf8.count))
    }
  }

  @Test func `what the host refuses is an error of the guest's request`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8))
    bench.store.fail(with: 5)
    #expect(try bench.perform(0, count: 512, isRead: true) == Self.failure)
    #expect(try bench.perform(1, count: 512) == Self.failure)
    #expect(try bench.perform(4) == Self.failure)
    bench.store.fail(with: nil)
    #expect(try bench.perform(4) == Self.success)
  }

  @Test func `a write is on the disk when the driver cannot flush, or wants no cache`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8), refusing: 1 << 9)
    #expect(try bench.perform(1, count: 512) == Self.success)
    #expect(bench.store.done == [.write, .flush])

    var other = try DiskBench(MemoryStore(sectors: 8))
    #expect(try other.perform(1, count: 512) == Self.success)
    #expect(other.store.done == [.write])
    other.write(0, to: 0x100 + 32, .byte)
    #expect(other.read(0x100 + 32, .byte) == 0)
    #expect(try other.perform(1, count: 512) == Self.success)
    #expect(other.store.done == [.write, .write, .flush])
  }

  @Test func `a reset forgets what is being carried out`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8))
    try bench.request(1, count: 512)
    #expect(bench.store.waiting == 1)
    bench.driver = RingDriver(memory: bench.memory)
    try bench.memory.store(UInt32(0), at: 0x2000)
    try bench.memory.store(UInt32(0), at: 0x3000)
    bench.start()
    try bench.request(0, count: 512, isRead: true)
    bench.store.run()
    #expect(try bench.driver.usedIndex == 1)
    #expect(try bench.driver.used(0) == (0, 513))
  }

  @Test func `a driver cannot have more requests carried out than its queue holds`() throws {
    var bench = try DiskBench(MemoryStore(sectors: 8))
    for _ in 0..<100 { try bench.request(1, count: 512) }
    #expect(bench.store.waiting == 8)
    #expect(bench.needsReset)
  }
}
