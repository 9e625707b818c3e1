import DeviceModel
import Glibc
import Synchronization
import Testing

/// A device that remembers its last access and reads as its offset.
private struct Probe: BusDevice {
  var last: (value: UInt64, offset: UInt64, width: AccessWidth)?
  mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    UInt64.max << 8 | offset + 0x10
  }
  mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    last = (value, offset, width)
  }
}

/// Nanoseconds this thread has run.
private func processorTime() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

@Suite struct BusTests {
  private let bus = Bus()

  @Test func `unowned addresses read as ones in the access's width`() {
    for width in AccessWidth.allCases { #expect(bus.read(0x1234, width: width) == width.mask) }
    #expect(bus.readOwned(0, width: .quad) == nil)
    #expect(!bus.write(1, to: .max, width: .quad))
  }

  @Test func `a device sees offsets from its own base`() throws {
    let probe = Shared(Probe())
    try bus.attach(probe, named: "probe", at: 0x100..<0x108)
    #expect(bus.read(0x103, width: .byte) == 0x13)
    #expect(bus.read(0x104, width: .word) == 0xff14)
    #expect(bus.write(0x1_2345, to: 0x106, width: .word))
    #expect(probe.withLock { $0.last?.value } == 0x2345)
    #expect(probe.withLock { $0.last?.offset } == 6)
  }

  @Test func `an overlap names the owner`() throws {
    try bus.attach(Shared(Probe()), named: "first", at: 0x100..<0x108)
    for range in [0x0ff..<0x101, 0x107..<0x110, 0x100..<0x108, 0x102..<0x103, 0..<0x1000]
      as [Range<UInt64>]
    {
      #expect(throws: AttachError.addressConflict(range: range, owner: "first")) {
        try bus.attach(Shared(Probe()), named: "second", at: range)
      }
    }
    try bus.attach(Shared(Probe()), named: "below", at: 0xf8..<0x100)
    try bus.attach(Shared(Probe()), named: "above", at: 0x108..<0x109)
    #expect(bus.map.map(\.name) == ["below", "first", "above"])
  }

  @Test func `an access over a device's edge is split into bytes`() throws {
    try bus.attach(Shared(Probe()), named: "one", at: 0x100..<0x102)
    try bus.attach(Shared(Probe()), named: "two", at: 0x103..<0x104)
    #expect(bus.read(0x100, width: .double) == 0x10ff_1110)
    #expect(bus.read(0x0fe, width: .double) == 0x1110_ffff)
    #expect(bus.write(0, to: 0x0ff, width: .word))
    #expect(!bus.write(0, to: 0x0fe, width: .word))
  }

  @Test func `the ends of the address space are ordinary`() throws {
    try bus.attach(Shared(Probe()), named: "top", at: (.max - 1)..<(.max))
    #expect(bus.read(.max - 1, width: .quad) == 0xffff_ffff_ffff_ff10)
    #expect(bus.read(.max, width: .quad) == .max)
  }

  @Test func `detached devices are gone`() throws {
    try bus.attach(Shared(Probe()), named: "probe", at: 0x100..<0x108)
    #expect(bus.detach(at: 0x100))
    #expect(!bus.detach(at: 0x100))
    #expect(bus.readOwned(0x100, width: .byte) == nil)
  }

  @Test func `an access is quick`() throws {
    for index in 0..<24 as Range<UInt64> {
      try bus.attach(Shared(Probe()), named: "\(index)", at: index * 0x100..<index * 0x100 + 8)
    }
    let count = 1_000_000
    var sum: UInt64 = 0
    let start = processorTime()
    for index in 0..<count {
      sum &+= bus.read(UInt64(index % 24) * 0x100 + 3, width: .byte)
    }
    let time = processorTime() - start
    #expect(sum == UInt64(count) * 0x13)
    // Generous, for the host may be slow or busy; on the development machine it is below 50 ns.
    #expect(time / count < 500, "\(time / count) ns")
  }
}

@Suite struct TimerQueueTests {
  /// Fires once at a time, then at ten more than the time before.
  private struct Ticker: TimedDevice {
    var deadline: UInt64? = 100
    var fired: [UInt64] = []
    mutating func advance(to now: UInt64) {
      guard let due = deadline, due <= now else { return }
      fired.append(now)
      deadline = fired.count < 3 ? due + 10 : nil
    }
    mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 { 0 }
    mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
      deadline = value
    }
  }

  @Test func `devices are advanced at their deadlines`() {
    let wakes = Atomic(0)
    let queue = TimerQueue(wake: { wakes.wrappingAdd(1, ordering: .relaxed) })
    let device = Timed(Ticker(), timers: queue)
    #expect(wakes.load(ordering: .relaxed) == 1)
    #expect(queue.deadline == 100)
    queue.advance(to: 99)
    #expect(device.withLock { $0.fired } == [])
    for now in [100, 110, 125] as [UInt64] { queue.advance(to: now) }
    #expect(device.withLock { $0.fired } == [100, 110, 125])
    #expect(queue.deadline == nil)
    #expect(wakes.load(ordering: .relaxed) == 1, "who advances looks at the deadline anyway")
  }

  @Test func `an earlier deadline wakes, a later one does not`() {
    let wakes = Atomic(0)
    let queue = TimerQueue(wake: { wakes.wrappingAdd(1, ordering: .relaxed) })
    let device = Timed(Ticker(), timers: queue)
    device.write(200, to: 0, width: .quad)
    #expect(wakes.load(ordering: .relaxed) == 1)
    device.write(50, to: 0, width: .quad)
    #expect(wakes.load(ordering: .relaxed) == 2)
    #expect(queue.deadline == 50)
  }
}
