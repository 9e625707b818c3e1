import DeviceModel
import FakeDevices
import PCDevices
import SeededRandom
import Synchronization
import Testing

@Suite struct SerialPortTests {
  let line = FakeLine()
  let sink = FakeSink()

  private func port() -> SerialPort { SerialPort(output: sink, interrupt: line) }

  /// A port as a driver leaves it: FIFO on, connected to its line.
  private func started(enabling interrupts: UInt8 = 0) -> SerialPort {
    var port = port()
    port.writeByte(0x81, to: 2)
    port.writeByte(0x0b, to: 4)
    port.writeByte(interrupts, to: 1)
    return port
  }

  @Test(
    arguments: [
      (0, 0), (1, 0), (2, 0x01), (3, 0), (4, 0), (5, 0x60), (6, 0xb0), (7, 0),
    ] as [(UInt64, UInt8)])
  func `reset values match the data sheet`(offset: UInt64, value: UInt8) {
    var port = port()
    #expect(port.readByte(offset) == value)
  }

  @Test func `what is written goes out`() {
    var port = port()
    for byte in "hello\n".utf8 { port.writeByte(byte, to: 0) }
    #expect(sink.text == "hello\n")
    #expect(port.readByte(5) == 0x60)
  }

  @Test func `a received byte raises the line until it is read`() {
    var port = started(enabling: 0x01)
    #expect(port.receive([0x42]) == 1)
    #expect(line.isAsserted)
    #expect(port.readByte(2) == 0xcc, "below the trigger: a time-out")
    #expect(port.readByte(5) == 0x61)
    #expect(port.readByte(0) == 0x42)
    #expect(!line.isAsserted)
    #expect(port.readByte(2) == 0xc1)
  }

  @Test func `the trigger level decides between data and time-out`() {
    var port = started(enabling: 0x01)
    #expect(port.receive(Array(0..<7)) == 7)
    #expect(port.readByte(2) == 0xcc)
    #expect(port.receive([7]) == 1)
    #expect(port.readByte(2) == 0xc4)
  }

  @Test func `without OUT2 the line stays low`() {
    var port = started(enabling: 0x01)
    port.writeByte(0x03, to: 4)
    _ = port.receive([1])
    #expect(!line.isAsserted)
    port.writeByte(0x0b, to: 4)
    #expect(line.isAsserted)
  }

  @Test func `input waits outside while the FIFO is full`() {
    var port = started()
    #expect(port.room == 16)
    #expect(port.receive(Array(0..<40)) == 16)
    #expect(port.room == 0)
    for expected in 0..<16 as Range<UInt8> { #expect(port.readByte(0) == expected) }
    #expect(port.readByte(5) & 1 == 0)
    #expect(port.room == 16)
  }

  @Test func `the input's owner is called when there is room again`() {
    let input = SerialInput(Shared(started()))
    let called = Atomic(0)
    input.whenRoom { called.wrappingAdd(1, ordering: .relaxed) }
    #expect(input.receive(Array(0..<20)) == 16)
    for _ in 0..<16 { _ = input.port.read(0, width: .byte) }
    #expect(called.load(ordering: .relaxed) == 1)
    #expect(input.receive([1]) == 1)
    _ = input.port.read(0, width: .byte)
    #expect(called.load(ordering: .relaxed) == 1)
  }

  @Test func `without a FIFO there is room for one byte`() {
    var port = port()
    #expect(port.receive([1, 2]) == 1)
    #expect(port.readByte(2) == 0x01)
    #expect(port.readByte(0) == 1)
  }

  @Test func `the empty transmitter interrupts once for each time`() {
    var port = started(enabling: 0x02)
    #expect(line.isAsserted)
    #expect(port.readByte(2) == 0xc2)
    #expect(!line.isAsserted)
    #expect(port.readByte(2) == 0xc1)
    port.writeByte(0x41, to: 0)
    #expect(line.isAsserted)
    port.writeByte(0, to: 1)
    #expect(!line.isAsserted)
    _ = port.readByte(2)
    port.writeByte(2, to: 1)
    #expect(port.readByte(2) == 0xc2, "enabling tells that the transmitter is empty")
  }

  @Test func `received data goes before the transmitter`() {
    var port = started(enabling: 0x0f)
    _ = port.receive([1])
    #expect(port.readByte(2) == 0xcc)
    _ = port.readByte(0)
    #expect(port.readByte(2) == 0xc2)
  }

  @Test func `loopback returns bytes and modem lines, and sends nothing`() {
    var port = started()
    port.writeByte(0x1a, to: 4)
    #expect(port.readByte(6) & 0xf0 == 0x90)
    port.writeByte(0x55, to: 0)
    #expect(port.readByte(0) == 0x55)
    #expect(port.receive([1]) == 0)
    for _ in 0..<17 { port.writeByte(1, to: 0) }
    #expect(port.readByte(5) & 0x03 == 0x03, "data, and an overrun")
    #expect(port.readByte(5) & 0x02 == 0)
    #expect(sink.text == "")
  }

  @Test func `a change of the modem's lines interrupts until the status is read`() {
    var port = started(enabling: 0x08)
    port.writeByte(0x1b, to: 4)
    #expect(!line.isAsserted, "in loopback the same lines are set as outside")
    port.writeByte(0x18, to: 4)
    #expect(line.isAsserted)
    #expect(port.readByte(2) == 0xc0)
    #expect(port.readByte(6) == 0x83, "CTS and DSR have dropped")
    #expect(!line.isAsserted)
    #expect(port.readByte(6) == 0x80)
  }

  @Test func `the divisor hides behind the line control's highest bit`() {
    var port = port()
    port.writeByte(0x83, to: 3)
    port.writeByte(0x34, to: 0)
    port.writeByte(0x12, to: 1)
    #expect(port.readByte(0) == 0x34)
    #expect(port.readByte(1) == 0x12)
    port.writeByte(0x03, to: 3)
    #expect(port.readByte(1) == 0)
    #expect(port.readByte(3) == 0x03)
    #expect(sink.text == "")
  }

  @Test func `a break shows in the line status with its byte`() {
    var port = started(enabling: 0x05)
    port.receiveBreak()
    #expect(port.readByte(2) == 0xc6)
    #expect(port.readByte(5) & 0x11 == 0x11)
    #expect(port.readByte(5) & 0x11 == 0x01)
    #expect(port.readByte(0) == 0)
  }

  /// What Linux' 8250 driver looks at before it says "16550A".
  @Test func `the kernel's probe recognises a 16550A`() {
    var port = port()
    port.writeByte(0x00, to: 1)
    #expect(port.readByte(1) == 0)
    port.writeByte(0xff, to: 1)
    #expect(port.readByte(1) == 0x0f, "no sleep mode, no UART-enable bit")
    port.writeByte(0, to: 1)
    port.writeByte(0xa5, to: 7)
    #expect(port.readByte(7) == 0xa5)
    port.writeByte(0x01, to: 2)
    #expect(port.readByte(2) >> 6 == 3, "a working FIFO")
    for lineControl in [0x80, 0xbf] as [UInt8] {
      port.writeByte(lineControl, to: 3)
      #expect(port.readByte(2) != 0, "no extended features")
    }
    port.writeByte(0, to: 3)
    port.writeByte(0x21, to: 2)
    #expect(port.readByte(2) & 0x20 == 0, "no 64-byte FIFO")
  }

  @Test func `reset empties the port and drops the line`() {
    var port = started(enabling: 0x01)
    _ = port.receive([1])
    port.reset()
    #expect(!line.isAsserted)
    #expect(port.readByte(1) == 0)
    #expect(port.readByte(5) == 0x60)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `random accesses never trap`(seed: UInt64) {
    let shared = Shared(port())
    var feed = SeededGenerator(seed: seed)
    shared.withLock { port in
      var device = port
      let answers = fuzz(&device, size: 8, seed: seed)
      #expect(answers > 1000)
      port = device
    }
    for _ in 0..<100_000 {
      let value = feed.next()
      switch value & 3 {
      case 0: shared.withLock { _ = $0.receive([UInt8(value >> 56)]) }
      case 1: shared.withLock { $0.receiveBreak() }
      case 2: shared.write(value >> 8, to: value >> 32 & 7, width: .byte)
      default: _ = shared.read(value >> 32 & 7, width: .double)
      }
      #expect(shared.withLock { (0...16).contains($0.room) })
    }
  }
}
