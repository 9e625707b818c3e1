import DeviceModel
import FakeDevices
import PCDevices
import Testing

@Suite struct PlatformTests {
  let lines = FakeLines()
  let clock = ManualClock()
  let power = PowerRecorder()
  let sink = FakeSink()

  private func board() -> Board {
    var board = Board(
      buses: (ports: Bus(), memory: Bus()), clock: clock, timers: TimerQueue(wake: {}),
      interrupts: lines,
      host: .init(
        memorySize: MemorySize(low: 1 << 30, high: 0), power: { [power] in power.note($0) }))
    board.outputs["com1"] = sink
    board.outputs["debugcon"] = sink
    return board
  }

  @Test func `the platform's devices are where the constants say`() throws {
    var board = board()
    try attachPlatform(to: &board)
    let map = Dictionary(grouping: board.ports.map, by: \.name).mapValues { $0.map(\.range) }
    #expect(
      map == [
        "com1": [0x3f8...0x3ff], "i8042": [0x60...0x60, 0x64...0x64], "rtc": [0x70...0x73],
        "acpi-pm": [0xb2...0xb3, 0x600...0x60f], "reset": [0xcf8...0xcfb], "port92": [0x92...0x92],
        "post": [0x80...0x80],
      ])
    #expect(throws: AttachError.addressConflict(range: 0x3f8..<0x400, owner: "com1")) {
      try SerialPort.attach(.init(port: 1), to: &board)
    }
  }

  @Test func `each way to power off or reset reaches the machine`() throws {
    var board = board()
    try attachPlatform(to: &board)
    board.ports.write(0x3400, to: 0x604, width: .word)
    #expect(power.take() == [.powerOff])
    for (port, value) in [(0xcf9, 6), (0x64, 0xfe), (0x92, 3)] as [(UInt64, UInt64)] {
      board.ports.write(value, to: port, width: .byte)
      #expect(power.take() == [.reset], "port \(port)")
    }
  }

  @Test func `the board's ends reach the devices`() throws {
    var board = board()
    try attachPlatform(to: &board)
    board.ports.write(0x41, to: 0x3f8, width: .byte)
    #expect(sink.text == "A")
    #expect(board.inputs["com1"]?.receive([0x42]) == 1)
    #expect(board.ports.read(0x3f8, width: .byte) == 0x42)

    board.ports.write(1 << 8, to: 0x602, width: .word)
    board.pressPowerButton()
    #expect(lines.fake(9).isAsserted)
    board.pressKeys([0x1e])
    #expect(lines.fake(1).isAsserted)
    for reset in board.resets { reset() }
    #expect(!lines.fake(9).isAsserted)
    #expect(!lines.fake(1).isAsserted)
  }

  @Test func `the clock's interrupt goes through the timer queue`() throws {
    var board = board()
    try attachPlatform(to: &board)
    board.ports.write(0x0b, to: 0x70, width: .byte)
    board.ports.write(0x12, to: 0x71, width: .byte)
    let deadline = try #require(board.timers.deadline)
    clock.advance(by: deadline)
    board.timers.advance(to: deadline)
    #expect(lines.fake(8).isAsserted)
  }

  @Test func `serial ports have their numbers, the debug console its port`() throws {
    var board = board()
    for number in 1...4 { try SerialPort.attach(.init(port: number), to: &board) }
    #expect(Set(board.inputs.keys) == ["com1", "com2", "com3", "com4"])
    #expect(throws: AttachError.self) { try SerialPort.attach(.init(port: 5), to: &board) }
    try DebugConsole.attach(.init(), to: &board)
    #expect(board.ports.read(0x402, width: .byte) == 0xe9)
    board.ports.write(0x21, to: 0x402, width: .byte)
    #expect(sink.text == "!")
  }

  @Test func `names in the catalogue are unique`() {
    let names = deviceKinds.map { $0.name }
    #expect(Set(names).count == names.count)
  }
}
