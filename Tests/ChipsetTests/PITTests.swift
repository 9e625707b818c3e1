import Chipset
import DeviceModel
import Testing

@Suite struct PITTests {
  /// Nanoseconds of a number of ticks, rounded up.
  private func time(_ ticks: UInt64) -> UInt64 { (ticks * 1_000_000_000 + 1_193_181) / 1_193_182 }

  private func count(_ bench: Bench, channel: UInt64) -> UInt64 {
    bench.out(channel << 6, 0x43)
    return bench.in(0x40 + channel) | bench.in(0x40 + channel) << 8
  }

  private func output(_ bench: Bench, channel: UInt64) -> Bool {
    bench.out(0xe0 | 2 << channel, 0x43)
    return bench.in(0x40 + channel) & 0x80 != 0
  }

  private func load(_ bench: Bench, channel: UInt64, mode: UInt64, count: UInt64, bcd: UInt64 = 0) {
    bench.out(channel << 6 | 0x30 | mode << 1 | bcd, 0x43)
    bench.out(count & 0xff, 0x40 + channel)
    bench.out(count >> 8, 0x40 + channel)
  }

  @Test func `mode 2 interrupts with every period`() throws {
    let bench = try Bench()
    bench.startPIC()
    load(bench, channel: 0, mode: 2, count: 11932)  // 100 Hz
    var ticks = 0
    for _ in 0..<1000 {
      bench.pass(1_000_000)
      if bench.controller.acknowledge(processor: 0) == 0x30 {
        ticks += 1
        bench.out(0x20, 0x20)
      }
    }
    #expect(ticks == 99 || ticks == 100)
  }

  @Test func `mode 0 interrupts once, and counts on`() throws {
    let bench = try Bench()
    bench.startPIC()
    load(bench, channel: 0, mode: 0, count: 1000)
    #expect(!output(bench, channel: 0))
    bench.pass(time(400))
    #expect(count(bench, channel: 0) == 600)
    #expect(bench.controller.acknowledge(processor: 0) == nil)
    bench.pass(time(601))
    #expect(bench.controller.acknowledge(processor: 0) == 0x30)
    #expect(output(bench, channel: 0))
    #expect(count(bench, channel: 0) >= 0xfffe)
    #expect(bench.timers.deadline == nil)
  }

  @Test func `channel 2 counts only while its gate is open, and shows in port 0x61`() throws {
    let bench = try Bench()
    load(bench, channel: 2, mode: 0, count: 5000)
    bench.pass(time(10_000))
    #expect(bench.in(0x61) & 0x2f == 0)
    bench.out(0x01, 0x61)
    bench.pass(time(3000))
    #expect(bench.in(0x61) & 0x21 == 0x01)
    bench.out(0x00, 0x61)
    bench.pass(time(10_000))
    #expect((1999...2001).contains(count(bench, channel: 2)))
    bench.out(0x01, 0x61)
    bench.pass(time(2002))
    #expect(bench.in(0x61) & 0x21 == 0x21)
  }

  @Test func `mode 1 waits for the gate, and a new edge starts it again`() throws {
    let bench = try Bench()
    load(bench, channel: 2, mode: 1, count: 100)
    bench.pass(time(1000))
    #expect(output(bench, channel: 2))
    bench.out(1, 0x61)
    bench.pass(time(60))
    #expect(!output(bench, channel: 2))
    bench.out(0, 0x61)
    bench.out(1, 0x61)
    bench.pass(time(60))
    #expect(!output(bench, channel: 2))
    bench.pass(time(60))
    #expect(output(bench, channel: 2))
  }

  @Test func `mode 3 is high for half of the time and counts by two`() throws {
    let bench = try Bench()
    bench.out(1, 0x61)
    load(bench, channel: 2, mode: 3, count: 1000)
    bench.pass(time(100))
    #expect(output(bench, channel: 2))
    #expect(count(bench, channel: 2) == 800)
    bench.pass(time(500))
    #expect(!output(bench, channel: 2))
    bench.pass(time(500))
    #expect(output(bench, channel: 2))
    bench.out(0, 0x61)
    bench.pass(time(500))
    #expect(output(bench, channel: 2), "a closed gate forces the output high")
  }

  @Test(arguments: [4, 5] as [UInt64])
  func `modes 4 and 5 strobe for one tick`(mode: UInt64) throws {
    let bench = try Bench()
    if mode == 4 { bench.out(1, 0x61) }
    load(bench, channel: 2, mode: mode, count: 50)
    bench.out(1, 0x61)
    bench.pass(time(49))
    #expect(output(bench, channel: 2))
    bench.pass(time(1))
    #expect(!output(bench, channel: 2))
    bench.pass(time(1))
    #expect(output(bench, channel: 2))
  }

  @Test func `decimal counts wrap at ten thousand`() throws {
    let bench = try Bench()
    load(bench, channel: 1, mode: 0, count: 0x1234, bcd: 1)
    bench.pass(time(34))
    #expect(count(bench, channel: 1) == 0x1200)
    bench.pass(time(1201))
    #expect([0x9999, 0x9998].contains(count(bench, channel: 1)))
  }

  @Test func `a latched count stands still until it is read`() throws {
    let bench = try Bench()
    load(bench, channel: 1, mode: 2, count: 0)
    bench.pass(time(0x100))
    bench.out(0x40, 0x43)
    bench.pass(time(0x1000))
    bench.out(0x40, 0x43)
    #expect(bench.in(0x41) | bench.in(0x41) << 8 == 0xff00)
    #expect(bench.in(0x41) | bench.in(0x41) << 8 < 0xef01)
  }

  @Test func `read-back latches status before count`() throws {
    let bench = try Bench()
    bench.out(0x74, 0x43)
    bench.out(0xe4, 0x43)
    #expect(bench.in(0x41) == 0xf4, "output high, no count yet, two bytes, mode 2")
    bench.out(0x34, 0x41)
    bench.out(0x12, 0x41)
    bench.out(0xc4, 0x43)
    bench.pass(time(0x100))
    #expect(bench.in(0x41) & 0x7f == 0x34)
    #expect(bench.in(0x41) == 0x34)
    #expect(bench.in(0x41) == 0x12)
  }

  @Test func `one-byte access loads and reads one byte`() throws {
    let bench = try Bench()
    bench.out(0x50, 0x43)
    bench.out(200, 0x41)
    bench.pass(time(50))
    #expect(bench.in(0x41) == 150)
    bench.out(0x60, 0x43)
    bench.out(2, 0x41)
    bench.pass(time(256))
    #expect(bench.in(0x41) == 1)
  }

  @Test func `the refresh bit toggles`() throws {
    let bench = try Bench()
    var seen: Set<UInt64> = []
    for _ in 0..<8 {
      bench.pass(8_000)
      seen.insert(bench.in(0x61) & 0x10)
    }
    #expect(seen == [0, 0x10])
  }

  @Test func `a count of one does not flood the host`() throws {
    let bench = try Bench()
    load(bench, channel: 0, mode: 2, count: 1)
    let first = try #require(bench.timers.deadline)
    bench.timers.advance(to: first)
    let second = try #require(bench.timers.deadline)
    #expect(second >= first + 50_000)
  }
}
