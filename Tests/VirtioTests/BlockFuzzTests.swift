import GuestMemory
import SeededRandom
import Testing
import Virtio

/// Drivers of disks that do anything at all.
@Suite struct BlockFuzzTests {
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random headers and chains end in an answer or a fault`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var bench = try DiskBench(MemoryStore(sectors: 64))
    var answers = Set<UInt8>()
    var faults = 0
    for _ in 0..<3_000 {
      bench.driver = RingDriver(memory: bench.memory)
      try bench.memory.store(UInt32(0), at: 0x2000)
      try bench.memory.store(UInt32(0), at: 0x3000)
      bench.start()
      for _ in 0..<4 {
        try Self.offerAnything(&bench, &random)
        if random.next() % 4 != 0 { bench.store.run() }
        answers.insert(try bench.memory.load(UInt8.self, at: DiskBench.status))
      }
      if bench.needsReset { faults += 1 }
    }
    #expect(answers.isSuperset(of: [0, 1, 2]))
    #expect(faults > 100)
    bench.store.run()
    #expect(bench.store.bytes.count == 64 * 512)
  }

  private static func offerAnything(
    _ bench: inout DiskBench, _ random: inout SeededGenerator
  ) throws {
    let kinds: [UInt32] = [0, 1, 4, 8, 11, 13, UInt32(truncatingIfNeeded: random.next())]
    try bench.memory.store(kinds[Int(random.next() % 7)], at: DiskBench.header)
    let sector = random.next() % 8 == 0 ? random.next() : random.next() % 66
    try bench.memory.store(sector, at: DiskBench.header + 8)
    for word in 0..<4 as Range<UInt64> {
      try bench.memory.store(
        UInt32(truncatingIfNeeded: random.next() % 70), at: DiskBench.data + word * 4)
    }
    let length = random.next() % 5
    for number in 0...length {
      let isLast = number == length
      let isWild = random.next() % 24 == 0
      let place =
        isWild ? random.next() >> (random.next() % 64) : [0x4000, 0x8000][Int(number & 1)]
      let sizes: [UInt32] = [16, 0, 1, 512, 1024, UInt32(random.next() % 0x2_0000)]
      let size = number == 0 ? 16 : sizes[Int(random.next() % 6)]
      let isWritten = isLast || number * 2 > length || isWild
      try bench.driver.describe(
        Int(number), isLast ? (DiskBench.status, 1) : (place, size),
        flags: (isLast ? 0 : RingDriver.next) | (isWritten ? RingDriver.write : 0),
        next: UInt16(isWild ? random.next() % 9 : number + 1))
    }
    try bench.driver.offer(UInt16(random.next() % 24 == 0 ? random.next() % 10 : 0))
    bench.notify()
  }
}
