import Chipset
import DeviceModel
import KVM
import Synchronization
import Testing

@Suite struct RoutingTests {
  @Test func `interrupts tell what came of them`() throws {
    let bench = try Bench()
    bench.startPIC()
    bench.setAPIC(0xf0, 0x1ff)
    let controller = bench.controller
    #expect(controller.setLine(20, to: true) == -1, "the pin is masked")
    controller.setLine(20, to: false)
    bench.setIOAPIC(0x38, 0x50)
    #expect(controller.setLine(20, to: true) == 1)
    #expect(controller.setLine(20, to: true) == 0, "the edge came already")
    #expect(controller.setLine(20, to: false) == 1)
    bench.setIOAPIC(0x38, 0x8050)
    #expect(controller.setLine(20, to: true) == 1)
    #expect(controller.setLine(20, to: true) == -1, "it waits for its end")
    #expect(controller.setLine(4, to: true) == 1, "through the 8259 alone")
    controller.setLine(4, to: false)
    #expect(controller.setLine(4, to: true) == 0, "requested still")
    bench.out(0x10, 0x21)
    controller.setLine(4, to: false)
    #expect(controller.setLine(4, to: true) == -1)
    #expect(controller.setLine(5000, to: true) == -1)
  }

  @Test func `the clock's interrupts are counted one by one`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x20, 0x58)
    func pulse() -> Int {
      defer { bench.controller.setLine(8, to: false) }
      return bench.controller.setLine(8, to: true, wantsStatus: true)
    }
    bench.out(0xff, 0xa1)
    #expect(pulse() == 1)
    #expect(pulse() == 0)
    #expect(bench.controller.acknowledge(processor: 0) == 0x58)
    #expect(pulse() == 0, "not ended yet")
    bench.setAPIC(0xb0, 0)
    #expect(pulse() == 1)
  }

  @Test func `routes that KVM refuses are refused, and the old ones stay`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x38, 0x50)
    let message = InterruptRoute.Destination.message(
      MessageInterrupt(address: 0xfee0_0000, data: 0x40))
    let wrong: [[InterruptRoute]] = [
      [InterruptRoute(4096, message)],
      [InterruptRoute(5, .pin(.ioAPIC, 24))],
      [InterruptRoute(5, .pin(.primaryPIC, 8))],
      [InterruptRoute(5, .pin(.ioAPIC, 1)), InterruptRoute(5, .pin(.ioAPIC, 2))],
      [InterruptRoute(5, message), InterruptRoute(5, message)],
      [InterruptRoute(5, .pin(.ioAPIC, 1)), InterruptRoute(5, message)],
    ]
    for routes in wrong { #expect(!bench.controller.setRoutes(routes)) }
    #expect(bench.controller.setLine(20, to: true) == 1)
    #expect(bench.controller.setRoutes([]))
    #expect(bench.controller.setLine(20, to: false) == -1)
    #expect(bench.controller.setRoutes([InterruptRoute(4095, message)]))
    #expect(bench.controller.setLine(4095, to: true) == 1)
  }

  @Test func `a resampled line falls at the end of its interrupt`() throws {
    let bench = try Bench()
    let ended = Mutex<[Int]>([])
    bench.controller.onEnd { line in ended.withLock { $0.append(line) } }
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x30, 0x8060)
    bench.controller.setResampled(true, line: 16)
    bench.controller.raiseUntilEnd(line: 16)
    #expect(bench.controller.acknowledge(processor: 0) == 0x60)
    #expect(ended.withLock { $0 } == [])
    bench.setAPIC(0xb0, 0)
    #expect(ended.withLock { $0 } == [16])
    #expect(bench.controller.acknowledge(processor: 0) == nil)
    bench.controller.setLine(16, to: true)
    bench.controller.raiseUntilEnd(line: 16)
    _ = bench.controller.acknowledge(processor: 0)
    bench.setAPIC(0xb0, 0)
    #expect(bench.controller.acknowledge(processor: 0) == 0x60, "another source holds it")
    bench.controller.setResampled(false, line: 16)
    bench.setAPIC(0xb0, 0)
    #expect(ended.withLock { $0 } == [16, 16])
  }

  @Test func `the end at an 8259 counts, too`() throws {
    let bench = try Bench()
    let ended = Mutex<[Int]>([])
    bench.controller.onEnd { line in ended.withLock { $0.append(line) } }
    bench.startPIC()
    bench.out(0x08, 0x4d1)
    bench.controller.setResampled(true, line: 11)
    bench.controller.raiseUntilEnd(line: 11)
    #expect(bench.controller.acknowledge(processor: 0) == 0x3b)
    bench.out(0x20, 0xa0)
    bench.out(0x20, 0x20)
    #expect(ended.withLock { $0 } == [11])
    #expect(bench.controller.acknowledge(processor: 0) == nil)
  }

  @Test func `suppressed ends leave the IOAPIC waiting`() throws {
    let bench = try Bench()
    bench.setAPIC(0xf0, 0x11ff)
    #expect(bench.apic(0xf0) == 0x1ff, "this IOAPIC cannot be told directly")
    let split = try Bench(outsidePins: 24)
    #expect(split.apic(0x30) == 0x0105_0014)
    split.setAPIC(0xf0, 0x11ff)
    #expect(split.apic(0xf0) == 0x11ff)
  }

  // MARK: Split controllers

  @Test func `ends of level interrupts of an outside IOAPIC are told`() throws {
    let bench = try Bench(processors: 2, outsidePins: 24)
    bench.setAPIC(0xf0, 0x1ff, processor: 1)
    let (level, edge) = (UInt32(0x8000 | 0x61), UInt32(0x62))
    #expect(
      bench.controller.setRoutes([
        InterruptRoute(3, .message(MessageInterrupt(address: 0xfee0_1000, data: level))),
        InterruptRoute(4, .message(MessageInterrupt(address: 0xfee0_1000, data: edge))),
      ]))
    for (line, vector) in [(3, 0x61), (4, 0x62)] {
      #expect(bench.controller.setLine(line, to: true) == 1)
      #expect(bench.controller.acknowledge(processor: 1) == UInt8(vector))
      bench.setAPIC(0xb0, 0, processor: 1)
    }
    let told = bench.recorder.take().filter { $0.event != .interrupt }
    #expect(told == [Recorder.Entry(processor: 1, event: .endOfInterrupt(vector: 0x61))])
    #expect(!bench.controller.setRoutes([InterruptRoute(3, .pin(.ioAPIC, 3))]))
  }

  @Test func `messages with wide destinations reach processors beyond 255`() throws {
    let bench = try Bench()
    bench.addProcessor(identifier: 0x1ff)
    for processor in 0..<2 {
      #expect(bench.setMSR(0x1b, 0xfee0_0c00, processor: processor))
      #expect(bench.setMSR(0x80f, 0x1ff, processor: processor))
    }
    #expect(bench.signal(0xfee0_0000 | 0xff << 12, 0x40) == 2, "a broadcast")
    bench.controller.addressing = [.wide, .noQuirk]
    #expect(bench.signal(0xfee0_0000 | 0xff << 12, 0x41) == 0)
    #expect(bench.signal(0x0000_0100_fee0_0000 | 0xff << 12, 0x42) == 1)
    #expect(bench.controller.acknowledge(processor: 1) == 0x42)
    #expect(bench.signal(0x0000_0001_fee0_0000, 0x42) == nil, "reserved bits")
  }
}
