import Chipset
import DeviceModel
import SeededRandom
import Testing

/// Hostile guests: any access of any width anywhere, mixed with lines and time. Nothing traps.
@Suite struct FuzzTests {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `random accesses never trap`(seed: UInt64) throws {
    let bench = try Bench(processors: 3)
    var random = SeededGenerator(seed: seed)
    let lines = (0..<24).map { bench.controller.line($0) }
    var acknowledged = 0
    for _ in 0..<200_000 {
      let (value, processor) = (random.next(), Int.random(in: 0..<3, using: &random))
      let width = AccessWidth.allCases.randomElement(using: &random) ?? .byte
      switch Int.random(in: 0..<12, using: &random) {
      case 0: bench.ports.write(value, to: port(&random), width: width)
      case 1: #expect(bench.ports.read(port(&random), width: width) <= width.mask)
      case 2: bench.memory.write(value, to: window(&random), width: width)
      case 3: #expect(bench.memory.read(window(&random), width: width) <= width.mask)
      case 4:
        bench.controller.writeLocal(
          value, to: random.next() & 0xfff, width: width, processor: processor)
      case 5:
        let read = bench.controller.readLocal(
          random.next() & 0xfff, width: width, processor: processor)
        #expect(read <= width.mask)
      case 6: setMSR(bench, &random, processor)
      case 7: _ = bench.msr(0x800 + UInt32(random.next() & 0xff), processor: processor)
      case 8: lines.randomElement(using: &random)?.set(value & 1 != 0)
      case 9: if bench.controller.acknowledge(processor: processor) != nil { acknowledged += 1 }
      case 10:
        bench.signal(0xfee0_0000 | value & 0xf_ffff, UInt32(value >> 32))
      default: advance(bench, value)
      }
    }
    #expect(acknowledged > 100, "the accesses reach the interesting parts")
  }

  private func port(_ random: inout SeededGenerator) -> UInt64 {
    [0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x4d0, 0x4d1]
      .randomElement(using: &random) ?? 0
  }

  private func window(_ random: inout SeededGenerator) -> UInt64 {
    0xfec0_0000 + ([0, 0x10, random.next() & 0xfff].randomElement(using: &random) ?? 0)
  }

  private func setMSR(_ bench: Bench, _ random: inout SeededGenerator, _ processor: Int) {
    let number = [0x1b, 0x6e0, 0x800 + UInt32(random.next() & 0x3f)].randomElement(using: &random)
    let shift = random.next() & 63
    var value = random.next() >> shift
    // Mostly keep the APIC where it can be reached.
    if number == 0x1b, shift < 56 {
      value = 0xfee0_0000 | [0, 0x800, 0x800, 0xc00][Int(value & 3)]
    }
    _ = bench.setMSR(number ?? 0, value, timestamp: random.next() >> shift, processor: processor)
  }

  private func advance(_ bench: Bench, _ value: UInt64) {
    bench.clock.advance(by: value >> (30 + value % 24))
    bench.timers.advance(to: bench.clock.now)
  }
}
