import DeviceModel
import FakeDevices
import GuestMemory
import SeededRandom
import Testing
import Virtio

private struct OneLine: InterruptLines {
  let fake = FakeLine()
  func line(_ number: Int) -> any InterruptLine { fake }
}

/// The echo device on PCI, with a driver that finds everything through the configuration.
private struct PCIBench {
  let memory: GuestMemory
  let bus = Bus()
  let lines = OneLine()
  let messages = FakeMessages()
  let handle: VirtioHandle<EchoDevice>
  var driver: RingDriver
  private static let window: UInt64 = 0xe000_0000

  init() throws {
    memory = try GuestMemory(size: 1 << 20)
    driver = RingDriver(memory: memory)
    var board = Board(
      buses: (ports: Bus(), memory: bus), clock: ManualClock(), timers: TimerQueue {},
      interrupts: lines,
      host: .init(memorySize: MemorySize(low: 1 << 20, high: 0), ram: memory, power: { _ in }))
    let pci = PCIBus(
      PCIWindows(
        ports: 0xc000..<0x1_0000, memory: 0xc000_0000..<0xd000_0000, memory64: 1 << 32..<1 << 36,
        configuration: Self.window..<Self.window + 1 << 20),
      buses: (Bus(), bus), interrupts: lines, messages: messages)
    board.pci = pci
    handle = try board.attach(EchoDevice(), named: "echo")
    try bus.attach(
      Shared(PCIConfigurationWindow(pci)), named: "window", at: pci.windows.configuration)
    try pci.assignAddresses()
  }

  func configuration(_ offset: UInt64, _ width: AccessWidth = .double) -> UInt64 {
    bus.read(Self.window + 1 << 15 + offset, width: width)
  }

  func configure(_ value: UInt64, at offset: UInt64, _ width: AccessWidth = .double) {
    bus.write(value, to: Self.window + 1 << 15 + offset, width: width)
  }

  /// The place in the configuration of the vendor's capability of `kind` (or of MSI-X, as 0x11).
  func capability(_ kind: UInt64) -> UInt64? {
    var place = configuration(0x34, .byte)
    while place != 0 {
      let identifier = configuration(place, .byte)
      if identifier == kind || identifier == 9 && configuration(place + 3, .byte) == kind {
        return place
      }
      place = configuration(place + 1, .byte)
    }
    return nil
  }

  /// Where a structure is in memory.
  func structure(_ kind: UInt64) throws -> UInt64 {
    let place = try #require(capability(kind))
    let region = configuration(place + 4, .byte)
    return configuration(0x10 + 4 * region) + configuration(place + 8)
  }

  func common(_ offset: UInt64, _ width: AccessWidth) throws -> UInt64 {
    bus.read(try structure(1) + offset, width: width)
  }

  func setCommon(_ value: UInt64, at offset: UInt64, _ width: AccessWidth) throws {
    bus.write(value, to: try structure(1) + offset, width: width)
  }

  /// Starts the device with queue 0; `vectors` are those of the configuration and the queue.
  func start(vectors: (UInt64, UInt64)? = nil) throws {
    try setCommon(0, at: 20, .byte)
    try setCommon(3, at: 20, .byte)
    for word in 0..<2 as Range<UInt64> {
      try setCommon(word, at: 0, .double)
      try setCommon(word, at: 8, .double)
      try setCommon(try common(4, .double), at: 12, .double)
    }
    try setCommon(0xb, at: 20, .byte)
    if let vectors { try setCommon(vectors.0, at: 16, .word) }
    try setCommon(0, at: 22, .word)
    try setCommon(UInt64(driver.size), at: 24, .word)
    if let vectors { try setCommon(vectors.1, at: 26, .word) }
    for (offset, address) in [(32, 0x1000), (40, 0x2000), (48, 0x3000)] as [(UInt64, UInt64)] {
      try setCommon(address, at: offset, .quad)
    }
    try setCommon(1, at: 28, .word)
    try setCommon(0xf, at: 20, .byte)
  }

  mutating func echo() throws {
    try memory.write([1, 2, 3, 4], at: 0x8000)
    try driver.describe(0, (0x8000, 4), flags: RingDriver.next, next: 1)
    try driver.describe(1, (0x9000, 4), flags: RingDriver.write)
    try driver.offer(0)
    bus.write(0, to: try structure(2), width: .word)
  }
}

@Suite struct VirtioPCITests {
  @Test func `a device on PCI is found, started and used with its pin`() throws {
    var bench = try PCIBench()
    #expect(bench.configuration(0) == UInt64(0x1040 + 0x1234) << 16 | 0x1af4)
    try bench.start()
    #expect(try bench.common(20, .byte) == 0xf)
    #expect(try bench.common(18, .word) == 2)

    try bench.echo()

    #expect(try bench.memory.bytes(at: 0x9000, count: 4) == [1, 2, 3, 4])
    #expect(bench.lines.fake.isAsserted)
    #expect(bench.bus.read(try bench.structure(3), width: .byte) == 1)
    #expect(!bench.lines.fake.isAsserted, "reading the status acknowledges")
  }

  @Test func `with messages each queue has its own, and the pin stays quiet`() throws {
    var bench = try PCIBench()
    let capability = try #require(bench.capability(0x11))
    bench.configure(0x8000, at: capability + 2, .word)
    let table = bench.configuration(0x20) & ~0xf
    for vector in 0..<3 as Range<UInt64> {
      bench.bus.write(0xfee0_0000, to: table + vector * 16, width: .double)
      bench.bus.write(0x40 + vector, to: table + vector * 16 + 8, width: .double)
      bench.bus.write(0, to: table + vector * 16 + 12, width: .double)
    }
    try bench.start(vectors: (0, 2))
    #expect(try bench.common(26, .word) == 2)

    try bench.echo()
    #expect(bench.messages.take().map(\.data) == [0x42])
    bench.handle.perform { _, queues in queues.configurationChanged() }
    #expect(bench.messages.take().map(\.data) == [0x40])

    #expect(!bench.lines.fake.isAsserted)
    try bench.setCommon(3, at: 26, .word)
    #expect(try bench.common(26, .word) == 0xffff, "there is no fourth vector")
  }

  @Test func `the window in the configuration reaches the same registers`() throws {
    let bench = try PCIBench()
    let window = try #require(bench.capability(5))
    bench.configure(0, at: window + 4, .byte)
    bench.configure(0x2000, at: window + 8)
    bench.configure(4, at: window + 12)
    #expect(bench.configuration(window + 16) == 0x0403_0201)
    bench.configure(0x5566_7788, at: window + 16)
    #expect(bench.bus.read(try bench.structure(4), width: .double) == 0x5566_7788)
    bench.configure(0x3ffe, at: window + 8)
    _ = bench.configuration(window + 16)
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random accesses leave a device on PCI that still works`(seed: UInt64) throws {
    var bench = try PCIBench()
    var random = SeededGenerator(seed: seed)
    let region = bench.configuration(0x10)
    for _ in 0..<50_000 {
      let width = AccessWidth.allCases.randomElement(using: &random) ?? .byte
      let offset = random.next() % 4 == 0 ? random.next() % 0x4002 : random.next() % 64
      let value = random.next() >> (random.next() % 64)
      if random.next() & 1 == 0 {
        bench.bus.write(value, to: region + offset, width: width)
      } else {
        _ = bench.bus.read(region + offset, width: width)
      }
      if random.next() % 64 == 0 { try bench.start() }
    }
    try bench.memory.write([UInt8](repeating: 0, count: 0x3000), at: 0x1000)
    try bench.start()
    try bench.echo()
    #expect(try bench.memory.bytes(at: 0x9000, count: 4) == [1, 2, 3, 4])
  }
}
