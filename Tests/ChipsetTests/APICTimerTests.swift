import Chipset
import DeviceModel
import Testing

@Suite struct APICTimerTests {
  private func timer(mode: UInt64, divide: UInt64 = 0xb) -> LocalAPIC {
    var apic = LocalAPIC(identifier: 0, isBootProcessor: true, offersX2APIC: true)
    _ = apic.write(0x1ff, to: 0xf0, width: .double, now: 0)
    _ = apic.write(mode << 17 | 0xec, to: 0x320, width: .double, now: 0)
    _ = apic.write(divide, to: 0x3e0, width: .double, now: 0)
    return apic
  }

  @Test func `one shot fires once and its count ends at zero`() {
    var apic = timer(mode: 0)
    _ = apic.write(1_000_000, to: 0x380, width: .double, now: 500)
    #expect(apic.deadline == 1_000_500)
    #expect(apic.read(0x390, width: .double, now: 250_500) == 750_000)
    #expect(apic.advance(to: 1_000_499) == .none)
    #expect(apic.advance(to: 1_000_500) == .local(.interrupt))
    #expect(apic.pendingVector == 0xec)
    #expect(apic.deadline == nil)
    #expect(apic.read(0x390, width: .double, now: 2_000_000) == 0)
  }

  @Test(
    arguments: [
      (0x0, 2), (0x1, 4), (0x2, 8), (0x3, 16), (0x8, 32), (0x9, 64), (0xa, 128), (0xb, 1),
    ] as [(UInt64, UInt64)])
  func `the divider stretches the count`(code: UInt64, factor: UInt64) {
    var apic = timer(mode: 0, divide: code)
    _ = apic.write(100_000, to: 0x380, width: .double, now: 0)
    #expect(apic.deadline == 100_000 * factor)
    #expect(apic.read(0x390, width: .double, now: 10 * factor) == 99_990)
  }

  @Test func `periodic keeps its phase when it is served late`() {
    var apic = timer(mode: 1)
    _ = apic.write(1_000_000, to: 0x380, width: .double, now: 0)
    #expect(apic.advance(to: 1_000_000) == .local(.interrupt))
    #expect(apic.deadline == 2_000_000)
    #expect(apic.advance(to: 5_300_000) == .local(.interrupt))
    #expect(apic.deadline == 6_000_000)
    #expect(apic.read(0x390, width: .double, now: 5_400_000) == 600_000)
  }

  @Test func `a period of nanoseconds does not flood the host`() {
    var apic = timer(mode: 1)
    _ = apic.write(1, to: 0x380, width: .double, now: 0)
    var fired = 0
    var now: UInt64 = 0
    while now < 1_000_000 {
      now = apic.deadline ?? .max
      if apic.advance(to: now) != .none { fired += 1 }
    }
    #expect(fired > 10 && fired < 30)
  }

  @Test func `a masked timer counts but does not interrupt`() {
    var apic = timer(mode: 0)
    _ = apic.write(0x100ec, to: 0x320, width: .double, now: 0)
    _ = apic.write(100, to: 0x380, width: .double, now: 0)
    #expect(apic.advance(to: 100) == .none)
    #expect(apic.pendingVector == nil)
  }

  @Test func `writing zero stops the timer`() {
    var apic = timer(mode: 0)
    _ = apic.write(100, to: 0x380, width: .double, now: 0)
    _ = apic.write(0, to: 0x380, width: .double, now: 10)
    #expect(apic.deadline == nil)
  }

  @Test func `a time-stamp deadline becomes nanoseconds, rounded up`() {
    var apic = timer(mode: 2)
    let now = Instant(nanoseconds: 1000, timestamp: 7_000_000, kilohertz: 3_000_000)
    apic.setTimestampDeadline(7_000_000 + 3_000_001, at: now)
    #expect(apic.deadline == 1000 + 1_000_001)
    #expect(apic.timestampDeadline == 10_000_001)
    #expect(apic.advance(to: 1_001_001) == .local(.interrupt))
    #expect(apic.timestampDeadline == 0)
    #expect(apic.deadline == nil)
  }

  @Test func `a deadline gone by fires at once, one too far never`() {
    var apic = timer(mode: 2)
    let now = Instant(nanoseconds: 1000, timestamp: 7_000_000, kilohertz: 3)
    apic.setTimestampDeadline(1, at: now)
    #expect(apic.deadline == 1000)
    apic.setTimestampDeadline(.max, at: now)
    #expect(apic.deadline ?? 0 >= UInt64.max >> 1)
    apic.setTimestampDeadline(0, at: now)
    #expect(apic.deadline == nil)
  }

  @Test func `modes ignore each other's registers, and changing mode disarms`() {
    var apic = timer(mode: 2)
    _ = apic.write(1000, to: 0x380, width: .double, now: 0)
    #expect(apic.deadline == nil)
    #expect(apic.read(0x380, width: .double, now: 0) == 0)
    apic.setTimestampDeadline(9, at: Instant(nanoseconds: 0, timestamp: 0, kilohertz: 1))
    _ = apic.write(0xec, to: 0x320, width: .double, now: 0)
    #expect(apic.deadline == nil)
    apic.setTimestampDeadline(9, at: Instant(nanoseconds: 0, timestamp: 0, kilohertz: 1))
    #expect(apic.timestampDeadline == 0)
  }

  @Test func `changing the divider keeps the remaining count`() {
    var apic = timer(mode: 0)
    _ = apic.write(1000, to: 0x380, width: .double, now: 0)
    _ = apic.write(0x0, to: 0x3e0, width: .double, now: 400)
    #expect(apic.read(0x390, width: .double, now: 400) == 600)
    #expect(apic.deadline == 400 + 1200)
  }
}
