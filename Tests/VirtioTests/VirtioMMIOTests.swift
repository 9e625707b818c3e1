import DeviceModel
import GuestMemory
import SeededRandom
import Testing
import Virtio

@Suite struct VirtioMMIOTests {
  @Test(
    arguments: [
      (0x000, 0x7472_6976), (0x004, 2), (0x008, 0x1234), (0x034, 8), (0x044, 0), (0x060, 0),
      (0x070, 0), (0x0b0, 0xffff_ffff), (0x0b8, 0xffff_ffff), (0x0c0, 0), (0x0fc, 0),
      (0x028, 0), (0x03c, 0), (0x040, 0),
    ] as [(UInt64, UInt32)])
  func `registers before a driver comes`(offset: UInt64, value: UInt32) throws {
    var bench = try Bench(EchoDevice())
    #expect(bench.read(offset) == value)
  }

  @Test func `features are offered in two words`() throws {
    var bench = try Bench(EchoDevice())
    #expect(bench.read(0x10) == 1 << 5 | 1 << 28 | 1 << 29)
    bench.write(1, to: 0x14)
    #expect(bench.read(0x10) == 1)
    bench.write(2, to: 0x14)
    #expect(bench.read(0x10) == 0)
  }

  @Test func `a driver that follows the steps reaches the device`() throws {
    var bench = try Bench(EchoDevice())
    bench.start(refusing: .eventIndex)
    #expect(bench.read(0x70) == 0xf)
    #expect(bench.read(0x44) == 1)
    let started = bench.transport.core.device.started
    #expect(started?.rawValue == 1 << 5 | 1 << 28 | 1 << 32)
  }

  @Test func `features that were not offered, or without version 1, are refused`() throws {
    var bench = try Bench(EchoDevice())
    for (low, high) in [(1 << 5, 0), (1 << 6, 1), (0, 3)] as [(UInt32, UInt32)] {
      bench.write(0, to: 0x70)
      bench.write(3, to: 0x70)
      bench.write(0, to: 0x24)
      bench.write(low, to: 0x20)
      bench.write(1, to: 0x24)
      bench.write(high, to: 0x20)
      bench.write(0xb, to: 0x70)
      #expect(bench.read(0x70) == 3)
      bench.setUpQueue()
      #expect(bench.read(0x44) == 0, "no queue before features")
      bench.write(0xf, to: 0x70)
      #expect(bench.read(0x70) == 3, "no driver before features")
    }
  }

  @Test func `features cannot change once they are agreed on`() throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    bench.write(0, to: 0x24)
    bench.write(0, to: 0x20)
    bench.write(0, to: 0x44)
    bench.write(1, to: 0x44)
    #expect(bench.transport.core.device.started?.contains(.eventIndex) == true)
  }

  @Test(
    arguments: [
      (3, 0x1000, 0x2000, 0x3000), (0, 0x1000, 0x2000, 0x3000), (16, 0x1000, 0x2000, 0x3000),
      (8, 0x1008, 0x2000, 0x3000), (8, 0x1000, 0x2001, 0x3000), (8, 0x1000, 0x2000, 0x3002),
      (8, 0xf_ff90, 0x2000, 0x3000), (8, 0x1000, 0xf_fff0, 0x3000), (8, 0x1000, 0x2000, 0xf_ffc0),
    ] as [(UInt32, UInt32, UInt32, UInt32)])
  func `a queue that makes no sense does not become ready`(
    size: UInt32, descriptors: UInt32, available: UInt32, used: UInt32
  ) throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    bench.write(0, to: 0x44)
    bench.write(size, to: 0x38)
    bench.write(descriptors, to: 0x80)
    bench.write(available, to: 0x90)
    bench.write(used, to: 0xa0)
    bench.write(1, to: 0x44)
    #expect(bench.read(0x44) == 0)
    bench.notify()
    #expect(bench.transport.core.device.served == 0)
  }

  @Test func `the interrupt stays until it is acknowledged`() throws {
    var bench = try Bench(EchoDevice())
    bench.start(refusing: .eventIndex)
    try bench.driver.describe(0, (0x9000, 1), flags: RingDriver.write)
    for round in 1...3 {
      try bench.driver.offer(0)
      bench.notify()
      #expect(bench.line.isAsserted)
      #expect(bench.read(0x60) == 1)
      bench.write(1, to: 0x64)
      #expect(!bench.line.isAsserted)
      #expect(bench.line.rises == round)
    }
  }

  @Test func `a changed configuration has a new generation and an interrupt`() throws {
    var bench = try Bench(EchoDevice())
    bench.start()
    bench.transport.perform { _, queues throws(QueueFault) in queues.configurationChanged() }
    #expect(bench.read(0xfc) == 1)
    #expect(bench.read(0x60) == 2)
    #expect(bench.line.isAsserted)
  }

  @Test func `a reset silences and forgets`() throws {
    var bench = try Bench(EchoDevice())
    bench.start(refusing: .eventIndex)
    try bench.driver.describe(0, (0x9000, 1), flags: RingDriver.write)
    try bench.driver.offer(0)
    bench.notify()
    bench.write(0, to: 0x70)
    #expect(!bench.line.isAsserted)
    #expect(bench.read(0x60) == 0)
    #expect(bench.read(0x70) == 0)
    #expect(bench.read(0x44) == 0)
    #expect(bench.transport.core.device.resets == 2)
  }

  @Test func `the configuration takes any width and ends where it ends`() throws {
    var bench = try Bench(EchoDevice())
    #expect(bench.transport.read(0x100, width: .byte) == 1)
    #expect(bench.transport.read(0x101, width: .word) == 0x0302)
    #expect(bench.transport.read(0x102, width: .quad) == 0x05_0403)
    bench.transport.write(0xaabb_ccdd, to: 0x103, width: .double)
    #expect(bench.transport.core.device.configuration == [1, 2, 3, 0xdd, 0xcc])
  }

  @Test func `other widths than 32 bits find no registers`() throws {
    var bench = try Bench(EchoDevice())
    #expect(bench.transport.read(0, width: .byte) == 0)
    bench.transport.write(3, to: 0x70, width: .byte)
    #expect(bench.read(0x70) == 0)
  }

  @Test func `a board gives each device a window and a line`() throws {
    var board = Board(
      buses: (ports: Bus(), memory: Bus()), clock: ManualClock(), timers: TimerQueue {},
      interrupts: NoLines(),
      host: .init(
        memorySize: .init(low: 1 << 20, high: 0), ram: try GuestMemory(size: 1 << 20),
        power: { _ in }))
    for _ in 0..<9 { try EntropyDevice.attach(.init(), to: &board) }
    #expect(board.windows.map(\.interrupt) == [16, 17, 18, 19, 20, 21, 22, 23, 16])
    #expect(board.windows[1].range == 0xd000_1000..<0xd000_2000)
    #expect(board.memory.read(0xd000_8008, width: .double) == 4)
  }
}

private struct NoLines: InterruptLines {
  func line(_ number: Int) -> any InterruptLine { UnconnectedLine() }
}
