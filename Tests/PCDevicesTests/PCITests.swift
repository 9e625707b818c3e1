import DeviceModel
import FakeDevices
import PCDevices
import SeededRandom
import Testing

/// Registers that read as their offset, and keep the last write.
private struct Registers: BusDevice {
  var last: [UInt64] = []
  mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 { offset }
  mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    last = [value, offset, UInt64(width.bytes)]
  }
}

/// A bus with one function of three regions and four messages, as a guest reaches it.
private struct PCIBench {
  let ports = Bus()
  let memory = Bus()
  let lines = FakeLines()
  let messages = FakeMessages()
  let bus: PCIBus
  let registers = Shared(Registers())
  var interrupts: PCIInterrupts
  var address = Shared(Registers())

  static let window: UInt64 = 0xe000_0000
  static let device: UInt64 = window + 1 << 15

  init() throws {
    let windows = PCIWindows(
      ports: 0xc000..<0x1_0000, memory: 0xc000_0000..<0xd000_0000,
      memory64: 1 << 32..<1 << 36, configuration: Self.window..<Self.window + 1 << 20)
    bus = PCIBus(windows, buses: (ports, memory), interrupts: lines, messages: messages)
    var found: PCIInterrupts?
    let registers = registers
    try bus.add(vectors: 4) { interrupts in
      found = interrupts
      var function = PCIFunction.Description(
        "test", PCIIdentity(vendor: 0x1234, device: 0x5678, classCode: 0xff_0102, revision: 3))
      function.regions = [
        PCIRegion(0, .memory, size: 0x1000, slot: registers),
        PCIRegion(2, .memory64, size: 0x10000, slot: registers),
        PCIRegion(4, .ports, size: 0x20, slot: registers),
      ]
      return function
    }
    interrupts = try #require(found)
    try memory.attach(
      Shared(PCIConfigurationWindow(bus)), named: "window", at: windows.configuration)
    try ports.attach(
      Shared(PCIConfigurationPorts(bus, narrow: registers)), named: "ports",
      at: PCIConfigurationPorts.ports)
  }

  func read(_ offset: UInt64, _ width: AccessWidth = .double) -> UInt64 {
    memory.read(Self.device + offset, width: width)
  }

  func write(_ value: UInt64, to offset: UInt64, _ width: AccessWidth = .double) {
    memory.write(value, to: Self.device + offset, width: width)
  }

  /// The offset of a capability in the configuration.
  func capability(_ identifier: UInt64) -> UInt64? {
    var place = read(0x34, .byte)
    while place != 0 {
      if read(place, .byte) == identifier { return place }
      place = read(place + 1, .byte)
    }
    return nil
  }
}

@Suite struct PCITests {
  @Test func `a function says what it is, by ports as in memory`() throws {
    let bench = try PCIBench()
    #expect(bench.read(0) == 0x5678_1234)
    #expect(bench.read(8) == 0xff01_0203)
    #expect(bench.read(0x3d, .byte) == 1)
    for offset in stride(from: 0 as UInt64, to: 256, by: 4) {
      bench.ports.write(0x8000_0000 | 1 << 11 | offset, to: 0xcf8, width: .double)
      #expect(bench.ports.read(0xcfc, width: .double) == bench.read(offset))
      #expect(bench.ports.read(0xcfe, width: .word) == bench.read(offset + 2, .word))
    }
  }

  @Test func `where there is no function everything reads as ones`() throws {
    let bench = try PCIBench()
    #expect(bench.memory.read(PCIBench.window + 2 << 15, width: .double) == 0xffff_ffff)
    bench.ports.write(0x8001_0800, to: 0xcf8, width: .double)
    #expect(bench.ports.read(0xcfc, width: .double) == 0xffff_ffff, "another bus")
    bench.ports.write(0x0000_0800, to: 0xcf8, width: .double)
    #expect(
      bench.ports.read(0xcfc, width: .double) == 0xffff_ffff, "address without its enable bit")
    #expect(bench.read(0x100) == 0, "no extended capabilities")
  }

  @Test func `base addresses tell their size`() throws {
    let bench = try PCIBench()
    for (offset, answer) in [
      (0x10, 0xffff_f000), (0x18, 0xffff_0004), (0x1c, 0xffff_ffff), (0x20, 0xffe1), (0x24, 0),
    ] as [(UInt64, UInt64)] {
      bench.write(0xffff_ffff, to: offset)
      #expect(bench.read(offset) == answer)
    }
  }

  @Test func `a region answers where the guest moves it, and nowhere while it is off`() throws {
    let bench = try PCIBench()
    bench.write(0xc100_0000, to: 0x10)
    #expect(bench.memory.read(0xc100_0010, width: .double) == 0xffff_ffff)
    bench.write(2, to: 4, .word)
    #expect(bench.memory.read(0xc100_0010, width: .double) == 0x10)
    bench.write(0xc200_0000, to: 0x10)
    #expect(bench.memory.read(0xc100_0010, width: .double) == 0xffff_ffff)
    #expect(bench.memory.read(0xc200_0010, width: .double) == 0x10)
    bench.write(1, to: 0x1c)
    bench.write(0x0002_0000, to: 0x18)
    #expect(bench.memory.read(0x1_0002_0008, width: .byte) == 8)
    bench.write(0, to: 4, .word)
    #expect(bench.memory.read(0xc200_0010, width: .double) == 0xffff_ffff)
  }

  @Test func `a region over another device's waits until it is moved`() throws {
    let bench = try PCIBench()
    bench.write(2, to: 4, .word)
    bench.write(PCIBench.window, to: 0x10)
    #expect(bench.memory.read(PCIBench.device, width: .double) == 0x5678_1234)
    bench.write(0xc100_0000, to: 0x10)
    #expect(bench.memory.read(0xc100_0004, width: .double) == 4)
  }

  @Test func `addresses that the monitor assigns lie in their windows, apart and aligned`() throws {
    let bench = try PCIBench()
    try bench.bus.assignAddresses()
    #expect(bench.read(4, .word) & 7 == 7)
    let places = [
      bench.read(0x10), bench.read(0x18) & ~0xf | bench.read(0x1c) << 32, bench.read(0x20) & ~3,
    ]
    #expect(places[0] & 0xfff == 0 && places[0] >= 0xc000_0000)
    #expect(places[1] == 1 << 32)
    #expect(places[2] == 0xc000)
    #expect(bench.memory.read(places[1] + 0x123, width: .byte) == 0x23)
    #expect(bench.ports.read(0xc004, width: .byte) == 4)
  }

  @Test func `the pin asks for an interrupt unless the guest cuts it off`() throws {
    let bench = try PCIBench()
    let line = bench.lines.fake(PCIBus.line(of: 1, pin: 0))
    bench.interrupts.setPin(true)
    #expect(line.isAsserted)
    #expect(bench.read(6, .word) & 8 != 0)
    bench.write(1 << 10, to: 4, .word)
    #expect(!line.isAsserted)
    #expect(bench.read(6, .word) & 8 != 0, "the status still says so")
    bench.write(0, to: 4, .word)
    #expect(line.isAsserted)
    bench.interrupts.setPin(false)
    #expect(!line.isAsserted)
  }

  @Test func `a message is sent, or waits while it or all are masked`() throws {
    let bench = try PCIBench()
    bench.write(0xc300_0000, to: 0x14)
    bench.write(2, to: 4, .word)
    let capability = try #require(bench.capability(0x11))
    #expect(bench.read(capability + 2, .word) == 3, "four vectors, less one")
    let table: UInt64 = 0xc300_0000
    for (offset, value) in [(16, 0xfee0_1000), (20, 0), (24, 0x4041)] as [(UInt64, UInt64)] {
      bench.memory.write(value, to: table + offset, width: .double)
    }
    bench.interrupts.raise(1)
    #expect(bench.messages.take() == [], "messages are off")
    bench.write(0x8000, to: capability + 2, .word)
    #expect(bench.interrupts.usesMessages)
    bench.interrupts.raise(1)
    #expect(bench.messages.take() == [], "the vector is masked")
    #expect(bench.memory.read(table + 0x800, width: .quad) == 2, "and waits")
    bench.memory.write(0, to: table + 28, width: .double)
    #expect(bench.messages.take() == [FakeMessages.Message(address: 0xfee0_1000, data: 0x4041)])
    bench.write(0xc000, to: capability + 2, .word)
    bench.interrupts.raise(1)
    #expect(bench.messages.take() == [], "all are masked")
    bench.write(0x8000, to: capability + 2, .word)
    #expect(bench.messages.take() == [FakeMessages.Message(address: 0xfee0_1000, data: 0x4041)])
    bench.bus.reset()
    #expect(!bench.interrupts.usesMessages)
  }

  @Test func `a place that is taken is refused, and so is a 32nd device`() throws {
    let bench = try PCIBench()
    let identity = PCIIdentity(vendor: 1, device: 2, classCode: 0)
    #expect(throws: AttachError.self) {
      try bench.bus.add(at: PCIAddress(device: 1)) { _ in .init("twin", identity) }
    }
    for _ in 2..<31 { try bench.bus.add { _ in .init("more", identity) } }
    #expect(throws: AttachError.self) { try bench.bus.add { _ in .init("one too many", identity) } }
    try bench.bus.add(at: PCIAddress(device: 1, function: 1)) { _ in .init("second", identity) }
    #expect(bench.read(0x0e, .byte) & 0x80 != 0, "the device now has several functions")
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random accesses leave a function that still works`(seed: UInt64) throws {
    let bench = try PCIBench()
    var random = SeededGenerator(seed: seed)
    for _ in 0..<50_000 {
      let width = AccessWidth.allCases.randomElement(using: &random) ?? .byte
      let place: UInt64 =
        switch random.next() % 4 {
        case 0: 0xc300_0000 + random.next() % 0x1002
        case 1: PCIBench.window + random.next() % (1 << 20)
        default: PCIBench.device + random.next() % 0x102
        }
      if random.next() & 1 == 0 {
        bench.memory.write(random.next(), to: place, width: width)
      } else {
        _ = bench.memory.read(place, width: width)
      }
      bench.ports.write(random.next(), to: 0xcf8 + random.next() % 8, width: width)
      if random.next() % 256 == 0 { bench.write(0xc300_0000, to: 0x14) }
      if random.next() % 8 == 0 { bench.interrupts.raise(Int(random.next() % 6)) }
    }
    bench.bus.reset()
    #expect(bench.read(0) == 0x5678_1234)
    try bench.bus.assignAddresses()
    #expect(bench.memory.read(bench.read(0x10) + 5, width: .byte) == 5)
  }
}
