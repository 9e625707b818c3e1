import Chipset
import DeviceModel
import KVM
import Testing

@Suite struct InterruptControllerTests {
  typealias Entry = Recorder.Entry

  @Test func `an 8259 interrupt reaches the boot processor through LINT0`() throws {
    let bench = try Bench()
    bench.startPIC()
    let line = bench.controller.line(4)
    line.set(true)
    #expect(bench.recorder.take() == [Entry(processor: 0, event: .interrupt)])
    #expect(bench.controller.acknowledge(processor: 0) == 0x34)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
  }

  @Test func `a masked LINT0 keeps the 8259 away`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setAPIC(0x350, 0x10700)
    bench.controller.line(4).set(true)
    #expect(!bench.controller.hasInterrupt(processor: 0))
  }

  @Test func `LINT0 as a fixed input takes the 8259's edge`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setAPIC(0x350, 0x31)
    bench.controller.line(4).set(true)
    #expect(bench.controller.acknowledge(processor: 0) == 0x31)
  }

  @Test func `a line can lead to another pin`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setAPIC(0x350, 0x10000)
    bench.setIOAPIC(0x14, 0x30)
    #expect(bench.controller.setRoutes([InterruptRoute(0, .pin(.ioAPIC, 2))]))
    bench.controller.line(0).pulse()
    #expect(bench.controller.acknowledge(processor: 0) == 0x30)
  }

  @Test func `a level line interrupts again until it is served`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.maskPIC()
    bench.setIOAPIC(0x22, 0x8000 | 0x59)
    let line = bench.controller.line(9)
    line.set(true)
    #expect(bench.controller.acknowledge(processor: 0) == 0x59)
    #expect(bench.ioapic(0x22) == 0xc059)
    bench.setAPIC(0xb0, 0)
    #expect(bench.controller.acknowledge(processor: 0) == 0x59)
    line.set(false)
    bench.setAPIC(0xb0, 0)
    #expect(bench.ioapic(0x22) == 0x8059)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
  }

  @Test func `wires to one line are ORed`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x30, 0x8000 | 0x60)
    let (one, other) = (bench.controller.line(16), bench.controller.line(16))
    one.set(true)
    other.set(true)
    one.set(false)
    _ = bench.controller.acknowledge(processor: 0)
    bench.setAPIC(0xb0, 0)
    #expect(bench.controller.acknowledge(processor: 0) == 0x60)
    other.set(false)
    bench.setAPIC(0xb0, 0)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
  }

  @Test func `a line without a device is driven by its number`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x30, 0x60)
    for number in [16, 24, 1 << 40, -1] { bench.controller.setLine(number, to: true) }
    #expect(bench.controller.acknowledge(processor: 0) == 0x60)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
  }

  @Test func `routes can lead to messages`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    let message = MessageInterrupt(address: 0xfee0_0000, data: 0x71)
    #expect(bench.controller.setRoutes(.standard + [InterruptRoute(24, .message(message))]))
    bench.controller.setLine(24, to: true)
    #expect(bench.controller.acknowledge(processor: 0) == 0x71)
    bench.controller.setLine(24, to: false)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
  }

  @Test func `a level interrupt nobody can take is not lost`() throws {
    let bench = try Bench()
    bench.maskPIC()
    bench.setIOAPIC(0x22, 0x8000 | 0x59)
    bench.controller.line(9).set(true)
    #expect(bench.ioapic(0x22) == 0x8059)
    bench.setAPIC(0xf0, 0x1ff)
    #expect(bench.ioapic(0x22) == 0xc059)
    #expect(bench.controller.acknowledge(processor: 0) == 0x59)
  }

  @Test func `IPIs reach the processors they name`() throws {
    let bench = try Bench(processors: 3)
    for processor in 0..<3 { bench.setAPIC(0xf0, 0x1ff, processor: processor) }
    bench.setAPIC(0x310, 2 << 24)
    bench.setAPIC(0x300, 0x40fd)
    #expect(bench.recorder.take() == [Entry(processor: 2, event: .interrupt)])
    #expect(bench.controller.acknowledge(processor: 2) == 0xfd)
    bench.setAPIC(0xb0, 0, processor: 2)
    bench.setAPIC(0x300, 0xc_40fc)
    #expect(bench.recorder.take().map(\.processor) == [1, 2])
    bench.setAPIC(0x300, 0x4_40fb)
    #expect(bench.controller.acknowledge(processor: 0) == 0xfb)
    bench.setAPIC(0x300, 0x8_44fb)
    #expect(
      bench.recorder.take().filter { $0.event == .nonMaskable }.map(\.processor) == [0, 1, 2])
  }

  @Test func `INIT and SIPI start a processor whose APIC is not enabled`() throws {
    let bench = try Bench(processors: 2)
    bench.setAPIC(0x310, 1 << 24)
    bench.setAPIC(0x300, 0x0000_c500)
    bench.setAPIC(0x300, 0x0000_8500)
    bench.setAPIC(0x300, 0x0000_069a)
    #expect(
      bench.recorder.take() == [
        Entry(processor: 1, event: .initialize), Entry(processor: 1, event: .startup(vector: 0x9a)),
      ])
  }

  @Test func `lowest priority goes to the idle processor, then takes turns`() throws {
    let bench = try Bench(processors: 2)
    for processor in 0..<2 { bench.setAPIC(0xf0, 0x1ff, processor: processor) }
    bench.controller.setTaskPriority(8, processor: 0)
    let address: UInt64 = 0xfee0_0000 | 0xff << 12
    #expect(bench.signal(address, 0x0190) == 1)
    #expect(bench.controller.acknowledge(processor: 1) == 0x90)
    bench.setAPIC(0xb0, 0, processor: 1)
    bench.controller.setTaskPriority(0, processor: 0)
    var taken = [0, 0]
    for vector in 0xa0..<0xa4 as Range<UInt32> {
      bench.signal(address, 0x100 | vector)
      for processor in 0..<2 where bench.controller.acknowledge(processor: processor) != nil {
        taken[processor] += 1
        bench.setAPIC(0xb0, 0, processor: processor)
      }
    }
    #expect(taken == [2, 2])
  }

  @Test func `messages to other addresses are refused`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    #expect(bench.signal(0xfed0_0000, 0x40) == nil)
    #expect(bench.signal(0xfee0_0000, 0x0340) == nil)
    #expect(bench.signal(0xfee0_5000, 0x40) == 0)
    #expect(bench.signal(0xfee0_0000, 0x40) == 1)
  }

  @Test func `the TSC deadline goes through the timer queue`() throws {
    let bench = try Bench()
    #expect(bench.setMSR(0x1b, 0xfee0_0d00))
    #expect(bench.setMSR(0x80f, 0x1ff))
    #expect(bench.setMSR(0x832, 0x400ec))
    #expect(bench.setMSR(0x6e0, 5_000_000, timestamp: 1_000_000))
    #expect(bench.timers.deadline == 1_000_000 + 2_000_000)
    bench.pass(1_999_999)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
    #expect(bench.msr(0x6e0) == 5_000_000)
    bench.pass(1)
    #expect(bench.recorder.take() == [Entry(processor: 0, event: .interrupt)])
    #expect(bench.controller.acknowledge(processor: 0) == 0xec)
    #expect(bench.msr(0x6e0) == 0)
    #expect(bench.setMSR(0x80b, 0))
    #expect(bench.msr(0x1b) == 0xfee0_0d00)
    #expect(bench.msr(0x1c) == nil)
    #expect(!bench.setMSR(0x1c, 0))
  }

  @Test func `LINT1 as NMI takes the NMI button`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setAPIC(0x360, 0x400)
    bench.controller.pressNonMaskable()
    #expect(bench.recorder.take() == [Entry(processor: 0, event: .nonMaskable)])
  }

  @Test func `reset puts everything back but the lines`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x14, 0x30)
    bench.controller.reset()
    #expect(bench.apic(0xf0) == 0xff)
    #expect(bench.ioapic(0x14) == 0x10000)
    #expect(bench.apic(0x350) == 0x700)
    #expect(bench.timers.deadline == nil)
  }
}
