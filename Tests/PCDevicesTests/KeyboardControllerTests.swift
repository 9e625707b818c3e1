import DeviceModel
import FakeDevices
import PCDevices
import Synchronization
import Testing

@Suite struct KeyboardControllerTests {
  let keyboard = FakeLine()
  let mouse = FakeLine()
  let power = PowerRecorder()
  let line20 = LineLog()

  /// The levels address line 20 was given.
  final class LineLog: Sendable {
    private let levels = Mutex<[Bool]>([])
    func note(_ level: Bool) { levels.withLock { $0.append(level) } }
    var all: [Bool] { levels.withLock { $0 } }
  }

  private func controller() -> KeyboardController {
    KeyboardController(
      wiring: .init(
        keyboard: keyboard, mouse: mouse, power: { [power] in power.note($0) },
        setAddressLine20: { [line20] in line20.note($0) }))
  }

  /// Writes a command with its parameters, then reads until the output buffer is empty.
  private func send(
    _ command: UInt8? = nil, _ data: [UInt8] = [], to device: inout KeyboardController
  ) -> [UInt8] {
    if let command { device.writeByte(command, to: 4) }
    for byte in data { device.writeByte(byte, to: 0) }
    var answer: [UInt8] = []
    while device.readByte(4) & 1 != 0, answer.count < 100 { answer.append(device.readByte(0)) }
    return answer
  }

  @Test func `the empty controller says so`() {
    var device = controller()
    #expect(device.readByte(4) == 0x14)
    #expect(device.readByte(0) == 0)
    #expect(device.readByte(1) == 0xff)
  }

  @Test(
    arguments: [
      (0xaa, [0x55]), (0xab, [0x00]), (0xa9, [0x00]), (0xc0, [0x80]), (0xd0, [0xcf]),
      (0x20, [0x45]), (0xe0, [0x00]), (0x77, []),
    ] as [(UInt8, [UInt8])])
  func `commands answer as the reference says`(command: UInt8, answer: [UInt8]) {
    var device = controller()
    #expect(send(command, to: &device) == answer)
  }

  @Test func `0xfe resets the machine, and so does the output port`() {
    var device = controller()
    device.writeByte(0xfe, to: 4)
    #expect(power.take() == [.reset])
    device.writeByte(0xff, to: 4)
    #expect(power.take() == [])
    _ = send(0xd1, [0xce], to: &device)
    #expect(power.take() == [.reset])
  }

  @Test func `the output port switches address line 20`() {
    var device = controller()
    _ = send(0xd1, [0xcd], to: &device)
    _ = send(0xd1, [0xcd], to: &device)
    _ = send(0xd1, [0xcf], to: &device)
    #expect(line20.all == [false, true])
    #expect(power.take() == [])
  }

  @Test func `the command byte and memory keep what is written`() {
    var device = controller()
    #expect(send(0x60, [0x77], to: &device) == [])
    #expect(send(0x20, to: &device) == [0x77])
    _ = send(0x65, [0x99], to: &device)
    #expect(send(0x25, to: &device) == [0x99])
    _ = send(0xa7, to: &device)
    #expect(send(0x20, to: &device) == [0x77], "the mouse was off already")
    _ = send(0xa8, to: &device)
    #expect(send(0x20, to: &device) == [0x57])
  }

  @Test func `the mouse's loop returns through the mouse's side`() {
    var device = controller()
    device.writeByte(0xd3, to: 4)
    device.writeByte(0x5a, to: 0)
    #expect(device.readByte(4) & 0x21 == 0x21)
    #expect(device.readByte(0) == 0x5a)
    _ = send(0x60, [0x47], to: &device)
    device.writeByte(0xd3, to: 4)
    device.writeByte(0xa5, to: 0)
    #expect(mouse.isAsserted)
    #expect(!keyboard.isAsserted)
    #expect(send(to: &device) == [0xa5])
    #expect(!mouse.isAsserted)
  }

  @Test(
    arguments: [
      ([0xff], [0xfa, 0xaa]), ([0xf2], [0xfa, 0xab, 0x83]), ([0xee], [0xee]),
      ([0xed, 0x07], [0xfa, 0xfa]), ([0xf0, 0x00], [0xfa, 0xfa, 0x02]),
      ([0xf3, 0x20], [0xfa, 0xfa]),
      ([0xf4], [0xfa]), ([0xf5], [0xfa]), ([0xf6], [0xfa]), ([0x12], [0xfe]),
      ([0xed, 0xf2], [0xfa, 0xfa, 0xab, 0x83]),
    ] as [([UInt8], [UInt8])])
  func `the keyboard answers its commands`(bytes: [UInt8], answer: [UInt8]) {
    var device = controller()
    #expect(send(nil, bytes, to: &device) == answer)
  }

  @Test(
    arguments: [
      ([0xff], [0xfa, 0xaa, 0x00]), ([0xf2], [0xfa, 0x00]), ([0xe9], [0xfa, 0x00, 2, 100]),
      ([0xe8, 3, 0xe9], [0xfa, 0xfa, 0xfa, 0x00, 3, 100]), ([0xf3, 40], [0xfa, 0xfa]),
      ([0xe7, 0xf4, 0xe9], [0xfa, 0xfa, 0xfa, 0x30, 2, 100]), ([0xeb], [0xfa, 0x08, 0, 0]),
      ([0xee, 0x42, 0xec], [0xfa, 0x42, 0xfa]), ([0xe1], [0xfe]),
    ] as [([UInt8], [UInt8])])
  func `the mouse answers its commands`(bytes: [UInt8], answer: [UInt8]) {
    var device = controller()
    var got: [UInt8] = []
    for byte in bytes { got += send(0xd4, [byte], to: &device) }
    #expect(got == answer)
  }

  @Test func `each byte raises the keyboard's line anew`() {
    var device = controller()
    #expect(device.press([0x1e, 0x9e]) == true)
    #expect(keyboard.rises == 1)
    #expect(device.readByte(0) == 0x1e)
    #expect(keyboard.rises == 2)
    #expect(device.readByte(0) == 0x9e)
    #expect(!keyboard.isAsserted)
  }

  @Test func `a keyboard that is off keeps its keys`() {
    var device = controller()
    _ = send(0xad, to: &device)
    device.press([0x1e])
    #expect(device.readByte(4) & 1 == 0)
    #expect(send(0xae, to: &device) == [0x1e])
    _ = send(nil, [0xf5], to: &device)
    #expect(device.press([0x1e]) == false)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `random accesses never trap`(seed: UInt64) {
    var device = controller()
    let answers = fuzz(&device, size: 5, seed: seed)
    #expect(answers > 1000)
    device.reset()
    #expect(send(0xaa, to: &device) == [0x55])
  }
}
