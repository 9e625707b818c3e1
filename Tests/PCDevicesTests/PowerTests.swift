import DeviceModel
import FakeDevices
import PCDevices
import Testing

@Suite struct PowerTests {
  let line = FakeLine()
  let clock = ManualClock()
  let power = PowerRecorder()

  private func device() -> PowerManagement {
    PowerManagement(clock: clock, interrupt: line, power: { [power] in power.note($0) })
  }

  @Test func `sleep type 5 powers off, others do nothing`() {
    var device = device()
    device.write(5 << 10 | 1, to: 4, width: .word)
    device.write(3 << 10 | 1 << 13, to: 4, width: .word)
    #expect(power.take() == [])
    device.write(5 << 10 | 1 << 13 | 1, to: 4, width: .word)
    #expect(power.take() == [.powerOff])
    #expect(device.read(4, width: .word) == 5 << 10 | 1, "SLP_EN reads as zero")
  }

  @Test func `powering off a byte at a time works too`() {
    var device = device()
    device.write(0x34, to: 5, width: .byte)
    #expect(power.take() == [.powerOff])
  }

  @Test func `the power button raises the interrupt until its status is cleared`() {
    var device = device()
    device.pressPowerButton()
    #expect(!line.isAsserted)
    device.write(1 << 8, to: 2, width: .word)
    #expect(line.isAsserted)
    #expect(device.read(0, width: .word) == 1 << 8)
    device.write(1 << 8, to: 0, width: .word)
    #expect(!line.isAsserted)
    #expect(device.read(0, width: .double) == 1 << 24)
  }

  @Test func `without ACPI mode there is no interrupt`() {
    var device = device()
    #expect(device.read(4, width: .word) == 1)
    device.command(0xa1)
    #expect(device.read(4, width: .word) == 0)
    device.write(1 << 8, to: 2, width: .word)
    device.pressPowerButton()
    #expect(!line.isAsserted)
    device.command(0xa0)
    #expect(line.isAsserted)
  }

  @Test func `the timer runs at 3.579545 MHz in 24 bits`() {
    var device = device()
    #expect(device.read(8, width: .double) == 0)
    clock.advance(by: 1_000_000_000)
    #expect(device.read(8, width: .double) == 3_579_545)
    #expect(device.read(9, width: .byte) == 3_579_545 >> 8 & 0xff)
    #expect(device.read(6, width: .double) == (3_579_545 & 0xffff) << 16)
    clock.advance(by: 4_000_000_000)
    #expect(device.read(8, width: .double) == 17_897_725 & 0xff_ffff)
  }

  @Test func `the timer's highest bit raises the interrupt`() throws {
    var device = device()
    #expect(device.deadline == nil)
    device.write(1, to: 2, width: .word)
    let deadline = try #require(device.deadline)
    #expect((2_343_000_000...2_344_000_000).contains(deadline))
    clock.advance(by: deadline)
    device.advance(to: clock.now)
    #expect(line.isAsserted)
    #expect(device.deadline == nil)
    device.write(1, to: 0, width: .word)
    #expect(!line.isAsserted)
    #expect(device.deadline ?? 0 > clock.now)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `random accesses never trap`(seed: UInt64) {
    var device = device()
    let answers = fuzz(&device, size: 16, seed: seed) { device, random in
      if random.next() & 7 == 0 { clock.advance(by: random.next() >> 28) }
      if random.next() & 63 == 0 { device.pressPowerButton() }
      if let deadline = device.deadline { device.advance(to: deadline) }
    }
    #expect(answers > 1000)
  }
}

@Suite struct ResetTests {
  let power = PowerRecorder()

  @Test func `only a byte written to the reset register resets`() {
    var device = ResetRegister(power: { [power] in power.note($0) })
    device.write(0x8000_0600, to: 0, width: .double)
    device.write(0x0606, to: 0, width: .word)
    device.write(0x02, to: 1, width: .byte)
    #expect(power.take() == [])
    #expect(device.read(1, width: .byte) == 2)
    #expect(device.read(0, width: .double) == 0xffff_ffff, "there is no PCI")
    device.write(0x06, to: 1, width: .byte)
    #expect(power.take() == [.reset])
  }

  @Test func `port 0x92 resets on a rising bit and keeps line 20`() {
    var device = SystemControlPort(
      power: { [power] in power.note($0) }, setAddressLine20: { _ in })
    #expect(device.readByte(0) == 2)
    device.writeByte(3, to: 0)
    device.writeByte(3, to: 0)
    #expect(power.take() == [.reset])
    device.reset()
    #expect(device.readByte(0) == 2)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `random accesses never trap`(seed: UInt64) {
    var reset = ResetRegister(power: { [power] in power.note($0) })
    var port = SystemControlPort(power: { _ in }, setAddressLine20: { _ in })
    var post = PostCode()
    #expect(fuzz(&reset, size: 4, seed: seed) > 1000)
    #expect(fuzz(&port, size: 1, seed: seed) > 1000)
    #expect(fuzz(&post, size: 1, seed: seed) > 1000)
    #expect(power.take().contains(.reset))
  }
}
