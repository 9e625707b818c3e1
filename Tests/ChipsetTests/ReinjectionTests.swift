import Chipset
import Testing

/// Ticks of the 8254 that the guest is too slow for.
@Suite struct ReinjectionTests {
  /// A machine with a tick each 10 ms, on the 8259.
  private func ticking() throws -> Bench {
    let bench = try Bench()
    bench.startPIC()
    bench.out(0x34, 0x43)
    bench.out(0x9c, 0x40)
    bench.out(0x2e, 0x40)
    return bench
  }

  /// Takes and ends interrupts until there is none; returns how many there were.
  private func serve(_ bench: Bench) -> Int {
    var count = 0
    while bench.controller.acknowledge(processor: 0) == 0x30 {
      bench.out(0x20, 0x20)
      count += 1
    }
    return count
  }

  @Test func `ticks that were missed come one after the other`() throws {
    let bench = try ticking()
    bench.pass(105_000_000)
    #expect(serve(bench) == 10)
    bench.pass(10_000_000)
    #expect(serve(bench) == 1)
  }

  @Test func `the host being late loses none`() throws {
    let bench = try ticking()
    bench.clock.advance(by: 55_000_000)
    bench.timers.advance(to: bench.clock.now)
    #expect(serve(bench) == 5)
  }

  @Test func `without reinjection missed ticks are one`() throws {
    let bench = try ticking()
    bench.controller.reinjectsTicks = false
    bench.pass(105_000_000)
    #expect(serve(bench) == 1)
    bench.controller.reinjectsTicks = true
    bench.pass(20_000_000)
    #expect(serve(bench) == 2)
  }

  @Test func `unmasking the timer forgets what nobody heard`() throws {
    let bench = try ticking()
    bench.out(1, 0x21)
    bench.pass(105_000_000)
    bench.out(0, 0x21)
    #expect(serve(bench) == 1)
  }

  @Test func `ticks through the IOAPIC are made up for, too`() throws {
    let bench = try ticking()
    bench.out(0xff, 0x21)
    bench.setAPIC(0xf0, 0x1ff)
    bench.setIOAPIC(0x10, 0x70)
    bench.pass(35_000_000)
    var count = 0
    while bench.controller.acknowledge(processor: 0) == 0x70 {
      bench.setAPIC(0xb0, 0)
      count += 1
    }
    #expect(count == 3)
  }

  @Test func `the timer as everybody's NMI is a watchdog`() throws {
    let bench = try Bench(processors: 2)
    bench.startPIC()
    bench.setAPIC(0x350, 0x400, processor: 1)
    bench.setAPIC(0xf0, 0x1ff, processor: 1)
    bench.setAPIC(0x350, 0x400, processor: 1)
    bench.out(0x34, 0x43)
    bench.out(0x9c, 0x40)
    bench.out(0x2e, 0x40)
    bench.pass(10_500_000)
    let told = bench.recorder.take().filter { $0.event == .nonMaskable }
    #expect(told == [Recorder.Entry(processor: 1, event: .nonMaskable)])
  }
}
