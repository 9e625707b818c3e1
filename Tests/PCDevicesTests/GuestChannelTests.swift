import DeviceModel
import PCDevices
import Synchronization
import Testing

private final class Collector: ByteSink {
  private let bytes = Mutex<[UInt8]>([])
  var collected: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
  func write(_ more: Span<UInt8>) {
    bytes.withLock { bytes in
      for index in more.indices { bytes.append(more[index]) }
    }
  }
}

private final class Events: Sendable {
  let list = Mutex<[GuestChannel.Event]>([])
}

/// A channel with what is connected to it.
private struct Rig {
  let output = Collector()
  let error = Collector()
  let events = Events()
  let channel: Shared<GuestChannel>
  let input: GuestInput

  init() {
    let events = events
    channel = Shared(
      GuestChannel(output: output, error: error) { event in
        events.list.withLock { $0.append(event) }
      })
    input = GuestInput(channel)
  }

  func command(_ code: UInt64, _ number: UInt64) {
    channel.write(code | number << 8, to: 0, width: .double)
  }
}

@Test func `output of any length arrives on its stream`() {
  let rig = Rig()

  rig.command(1, 5)
  rig.channel.write(0x6c6c_6568, to: 4, width: .double)
  rig.channel.write(0x6f, to: 4, width: .byte)
  rig.command(2, 2)
  rig.channel.write(0x7a_216f_6e, to: 4, width: .double)

  #expect(rig.output.collected == "hello")
  #expect(rig.error.collected == "no")
}

@Test func `what was announced and never came is passed on as far as it came`() {
  let rig = Rig()

  rig.command(1, 100)
  rig.channel.write(0x6b6f, to: 4, width: .word)
  rig.command(4, 7)

  #expect(rig.output.collected == "ok")
  #expect(rig.events.list.withLock { $0 } == [.exited(status: 7)])
}

@Test func `input is counted, read in pieces, and ends`() {
  let rig = Rig()
  #expect(rig.channel.read(0, width: .double) == 0x5355_5041)
  #expect(rig.channel.read(8, width: .double) == 0)

  #expect(rig.input.receive(Array("input".utf8)) == 5)
  rig.input.end()

  #expect(rig.channel.read(8, width: .double) == 5)
  #expect(rig.channel.read(4, width: .double) == 0x7570_6e69)
  #expect(rig.channel.read(8, width: .double) == 1)
  #expect(rig.channel.read(4, width: .byte) == 0x74)
  #expect(rig.channel.read(8, width: .double) == 0xffff_ffff)
  #expect(rig.channel.read(4, width: .double) == 0)
}

@Test func `input beyond the room waits outside until the guest reads`() {
  let rig = Rig()
  let rang = Events()
  rig.input.whenRoom { rang.list.withLock { $0.append(.started) } }

  let taken = rig.input.receive([UInt8](repeating: 1, count: 100_000))

  #expect(taken == 1 << 16)
  #expect(rig.input.room == 0)
  for _ in 0..<taken / 4 { _ = rig.channel.read(4, width: .double) }
  #expect(rang.list.withLock { $0.count } == 1)
  #expect(rig.input.room == 1 << 16)
}

@Test func `accesses that make no sense do nothing`() {
  let rig = Rig()

  for offset: UInt64 in 0..<12 {
    for width in AccessWidth.allCases {
      rig.channel.write(.max, to: offset, width: width)
      _ = rig.channel.read(offset, width: width)
    }
  }
  rig.command(0xff, 0xff_ffff)
  rig.channel.write(0x41, to: 4, width: .byte)

  #expect(rig.output.collected.isEmpty)
  #expect(rig.events.list.withLock { $0.isEmpty })
}
