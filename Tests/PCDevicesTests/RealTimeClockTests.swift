import DeviceModel
import FakeDevices
import PCDevices
import Testing

@Suite struct RealTimeClockTests {
  let line = FakeLine()
  /// 2024-02-29 (a Thursday) 23:59:58.5 UTC.
  let clock = ManualClock(epoch: 1_709_251_198_500_000_000)

  private func device(low: UInt64 = 512 << 20, high: UInt64 = 0) -> RealTimeClock {
    RealTimeClock(
      clock: clock, interrupt: line, memorySize: MemorySize(low: low, high: high))
  }

  private func read(_ index: UInt8, of device: inout RealTimeClock) -> UInt8 {
    device.writeByte(index, to: 0)
    return device.readByte(1)
  }

  private func write(_ value: UInt8, at index: UInt8, of device: inout RealTimeClock) {
    device.writeByte(index, to: 0)
    device.writeByte(value, to: 1)
  }

  private let timeRegisters: [UInt8] = [0x32, 9, 8, 7, 6, 4, 2, 0]

  private func time(of device: inout RealTimeClock) -> [UInt8] {
    timeRegisters.map { read($0, of: &device) }
  }

  @Test func `the time is UTC in decimal digits`() {
    var device = device()
    #expect(time(of: &device) == [0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x59, 0x58])
    clock.advance(by: 1_500_000_000)
    #expect(time(of: &device) == [0x20, 0x24, 0x03, 0x01, 6, 0x00, 0x00, 0x00])
  }

  @Test func `binary and twelve-hour modes show the same time`() {
    var device = device()
    write(0x06, at: 11, of: &device)
    #expect(time(of: &device) == [20, 24, 2, 29, 5, 23, 59, 58])
    write(0x04, at: 11, of: &device)
    #expect(read(4, of: &device) == 0x80 | 11)
    clock.advance(by: 2_000_000_000)
    #expect(read(4, of: &device) == 12, "midnight")
    write(0x00, at: 11, of: &device)
    #expect(read(4, of: &device) == 0x12)
  }

  @Test(arguments: [(10, 0x26), (11, 0x02), (12, 0x00), (13, 0x80)] as [(UInt8, UInt8)])
  func `reset values match the data sheet`(index: UInt8, value: UInt8) {
    var device = device()
    #expect(read(index, of: &device) == value)
  }

  @Test func `a time that is set runs on`() {
    var device = device()
    write(0x82, at: 11, of: &device)
    let new: [UInt8] = [0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59]
    for (index, value) in zip(timeRegisters, new) { write(value, at: index, of: &device) }
    clock.advance(by: 5_000_000_000)
    #expect(time(of: &device) == new, "the clock stands while it is set")
    write(0x02, at: 11, of: &device)
    clock.advance(by: 1_000_000_000)
    #expect(time(of: &device) == [0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00])
  }

  @Test func `the warning comes just before the second ends`() {
    var device = device()
    #expect(read(10, of: &device) == 0x26)
    clock.advance(by: 499_800_000)
    #expect(read(10, of: &device) == 0xa6)
    clock.advance(by: 300_000)
    #expect(read(10, of: &device) == 0x26)
  }

  @Test func `the update interrupt comes with each second`() throws {
    var device = device()
    #expect(device.deadline == nil)
    write(0x12, at: 11, of: &device)
    #expect(device.deadline == 500_000_000)
    clock.advance(by: 500_000_000)
    device.advance(to: clock.now)
    #expect(line.isAsserted)
    #expect(device.deadline == nil, "nothing more until the guest has read register C")
    #expect(read(12, of: &device) & 0x90 == 0x90)
    #expect(!line.isAsserted)
    #expect(read(12, of: &device) == 0)
    #expect(device.deadline == 1_500_000_000)
  }

  @Test func `the alarm comes at its time, or every minute`() {
    var device = device()
    for (index, value) in [(1, 0x02), (3, 0x00), (5, 0xc0)] as [(UInt8, UInt8)] {
      write(value, at: index, of: &device)
    }
    write(0x22, at: 11, of: &device)
    var seconds = 0
    while !line.isAsserted, seconds < 100 {
      clock.advance(by: 1_000_000_000)
      device.advance(to: clock.now)
      seconds += 1
    }
    #expect(seconds == 4)
    #expect(time(of: &device).suffix(2) == [0x00, 0x02])
    #expect(read(12, of: &device) & 0xb0 == 0xb0)
  }

  @Test func `the periodic interrupt keeps its rate`() {
    var device = device()
    write(0x42, at: 11, of: &device)  // 1024 Hz
    var count = 0
    while let deadline = device.deadline, deadline < 1_000_000_000 {
      clock.advance(by: deadline - clock.now)
      device.advance(to: clock.now)
      #expect(line.isAsserted)
      count += 1
      _ = read(12, of: &device)
    }
    #expect((1022...1024).contains(count))
    write(0x20, at: 10, of: &device)
    #expect(device.deadline == nil)
  }

  @Test func `memory size is told in the old registers`() {
    var device = device(low: 3 << 30, high: 5 << 30)
    let bytes = [0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x5b, 0x5c, 0x5d] as [UInt8]
    let values = bytes.map { read($0, of: &device) }
    #expect(values == [0x80, 2, 0xff, 0xff, 0xff, 0xff, 0x00, 0xbf, 0x00, 0x40, 0x01])
  }

  @Test func `the rest is memory, in two banks`() {
    var device = device()
    write(0x5a, at: 0x70, of: &device)
    device.writeByte(0x70, to: 2)
    device.writeByte(0xa5, to: 3)
    #expect(read(0x70, of: &device) == 0x5a)
    #expect(device.readByte(3) == 0xa5)
    #expect(device.readByte(0) == 0x70)
    #expect(device.readByte(2) == 0x70)
  }

  @Test func `a reset stops interrupts and keeps the time`() {
    var device = device()
    write(0x52, at: 11, of: &device)
    clock.advance(by: 1_000_000_000)
    device.advance(to: clock.now)
    #expect(line.isAsserted)
    device.reset()
    #expect(!line.isAsserted)
    #expect(read(11, of: &device) == 0x02)
    #expect(read(0, of: &device) == 0x59)
  }

  @Test func `every day from 1970 to 2106 goes there and back`() {
    var previous: Int64 = 0
    for day in stride(from: Int64(0), to: 49_710, by: 1) {
      let local = ManualClock(epoch: day * 86_400_000_000_000)
      var device = RealTimeClock(
        clock: local, interrupt: line, memorySize: MemorySize(low: 0, high: 0))
      let shown = time(of: &device)
      let number = shown[0...3].reduce(0) { $0 << 8 | Int64($1) }
      #expect(number > previous)
      previous = number
      // Writing a field back unchanged changes nothing.
      write(shown[3], at: 7, of: &device)
      #expect(time(of: &device) == shown)
    }
    #expect(previous == 0x2106_0206)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `random accesses never trap`(seed: UInt64) {
    var device = device()
    let answers = fuzz(&device, size: 4, seed: seed) { _, random in
      if random.next() & 7 == 0 { clock.advance(by: random.next() >> 28) }
    }
    #expect(answers > 1000)
    for _ in 0..<1000 {
      clock.advance(by: 900_000_000)
      device.advance(to: clock.now)
      if let deadline = device.deadline { #expect(deadline > clock.now) }
    }
  }
}
