import DeviceModel
import GuestMemory
import SeededRandom
import Testing
import Virtio

/// Drivers that do anything at all: nothing may trap, hang or touch memory outside the guest's.
@Suite struct VirtioFuzzTests {
  /// Numbers that are near what matters: small, at the end of RAM, at the end of all numbers.
  private static func address(_ random: inout SeededGenerator) -> UInt64 {
    let near = random.next() % 64
    switch random.next() % 4 {
    case 0: return near << 12
    case 1: return (1 << 20) &- 32 &+ near
    case 2: return 0 &- near
    default: return random.next() >> (random.next() % 64)
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func `random descriptor tables end in an answer or a fault`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var bench = try Bench(EchoDevice())
    var (answered, faults) = (0, 0)
    for _ in 0..<5_000 {
      bench.start()
      bench.driver = RingDriver(memory: bench.memory)
      try bench.memory.store(UInt32(0), at: 0x2000)
      try bench.memory.store(UInt32(0), at: 0x3000)
      for number in 0..<16 {
        let table: UInt64 = number < 8 ? 0x1000 : 0x4000
        // Mostly sound descriptors, else no chain would get far.
        let isWild = random.next() % 16 == 0
        let place = isWild ? Self.address(&random) : 0x4000 + random.next() % 0x1000
        let count =
          isWild ? UInt32(truncatingIfNeeded: random.next()) : UInt32(random.next() % 9) * 16
        let flags = UInt16(random.next() % (isWild ? 0x1_0000 : 8))
        try bench.driver.describe(
          number % 8, (place, count), flags: flags, next: UInt16(random.next() % (isWild ? 12 : 8)),
          table: table)
      }
      for _ in 0...random.next() % 8 { try bench.driver.offer(UInt16(random.next() % 9)) }
      bench.notify()
      answered += bench.transport.core.device.served
      if bench.read(0x70) & 0x40 != 0 { faults += 1 }
    }
    #expect(answered > 100)
    #expect(faults > 100)
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random accesses leave a device that still works`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var bench = try Bench(EntropyDevice())
    for _ in 0..<100_000 {
      if random.next() % 64 == 0 { bench.start() }
      let offset = random.next() % 0x44 * 4 + (random.next() % 8 == 0 ? random.next() % 4 : 0)
      let width = AccessWidth.allCases.randomElement(using: &random) ?? .double
      if random.next() % 2 == 0 {
        let value = random.next() % 2 == 0 ? Self.address(&random) : random.next() % 16
        bench.transport.write(value, to: offset, width: random.next() % 4 == 0 ? width : .double)
      } else {
        _ = bench.transport.read(offset, width: width)
      }
      if random.next() % 8 == 0 {
        let place = 0x1000 + random.next() % 0x2100
        try bench.memory.store(UInt16(truncatingIfNeeded: random.next() % 20), at: place)
      }
    }
    try bench.memory.write([UInt8](repeating: 0, count: 0x3000), at: 0x1000)
    bench.start()
    try bench.driver.describe(0, (0x8000, 16), flags: RingDriver.write)
    try bench.driver.offer(0)
    bench.notify()
    #expect(try bench.driver.used(0) == (0, 16))
  }
}
