import DeviceModel
import FakeDevices
import Foundation
import Testing

@Suite struct EggTimerTests {
  let line = FakeLine()
  let clock = ManualClock()

  @Test func `the interrupt comes when the time is over, and goes when it is read`() {
    var timer = EggTimer(clock: clock, interrupt: line)
    timer.write(3, to: 0, width: .word)
    #expect(timer.deadline == 3_000_000)

    clock.advance(by: 2_500_000)
    #expect(timer.read(0, width: .word) == 1)
    #expect(!line.isAsserted)

    clock.advance(by: 500_000)
    timer.advance(to: clock.now)
    #expect(line.isAsserted)
    #expect(timer.read(0, width: .word) == 0)
    #expect(!line.isAsserted)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `random accesses never trap`(seed: UInt64) {
    var timer = EggTimer(clock: clock, interrupt: line)
    let answers = fuzz(&timer, size: 2, seed: seed) { _, random in
      clock.advance(by: random.next() >> 40)
    }
    #expect(answers > 1000)
  }

  @Test func `the page on adding a device shows this device`() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    let source = try String(contentsOf: folder.appending(path: "EggTimer.swift"), encoding: .utf8)
    let page = try String(
      contentsOf: folder.appending(path: "../../docs/add-a-device.md").standardized,
      encoding: .utf8)
    #expect(page.contains(source))
  }
}
