import DeviceModel
import Testing

@Suite struct IOAPICTests {
  @Test(
    arguments: [
      (0, 0), (1, 0x0017_0011), (2, 0), (3, 0), (0x10, 0x10000), (0x11, 0), (0x3e, 0x10000),
      (0x3f, 0), (0x40, 0), (0xff, 0),
    ] as [(UInt64, UInt64)])
  func `reset values match the data sheet`(index: UInt64, value: UInt64) throws {
    let bench = try Bench()
    #expect(bench.ioapic(index) == value)
  }

  @Test func `status bits cannot be written`() throws {
    let bench = try Bench()
    bench.setIOAPIC(0x20, 0xffff_ffff)
    #expect(bench.ioapic(0x20) == 0x0001_afff)
    bench.setIOAPIC(0x21, 0xffff_ffff)
    #expect(bench.ioapic(0x21) == 0xff00_0000)
    bench.setIOAPIC(0, 0xffff_ffff)
    #expect(bench.ioapic(0) == 0x0f00_0000)
    bench.setIOAPIC(1, 0)
    #expect(bench.ioapic(1) == 0x0017_0011)
  }

  @Test func `an edge while masked is lost, a level is not`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    let (edge, level) = (bench.controller.line(20), bench.controller.line(21))
    edge.set(true)
    level.set(true)
    bench.setIOAPIC(0x38, 0x50)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
    bench.setIOAPIC(0x3a, 0x8051)
    #expect(bench.controller.acknowledge(processor: 0) == 0x51)
  }

  @Test func `making an entry edge-triggered clears its wait`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x3a, 0x8051)
    bench.controller.line(21).set(true)
    #expect(bench.ioapic(0x3a) == 0xc051)
    bench.setIOAPIC(0x3a, 0x51)
    #expect(bench.ioapic(0x3a) == 0x51)
  }

  @Test func `an ExtINT entry asks the 8259`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.setIOAPIC(0x12, 0x700)
    bench.controller.line(1).set(true)
    #expect(bench.controller.acknowledge(processor: 0) == 0x31)
  }

  @Test func `an NMI entry sends an NMI`() throws {
    let bench = try Bench()
    bench.maskPIC()
    bench.setIOAPIC(0x28, 0x400)
    bench.controller.line(12).set(true)
    #expect(bench.recorder.take() == [Recorder.Entry(processor: 0, event: .nonMaskable)])
  }
}
