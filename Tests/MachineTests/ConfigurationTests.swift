import Foundation
import HostBackends
import Machine
import Testing

@Suite struct ConfigurationTests {
  @Test(
    arguments: [
      ("512M", 512 << 20), ("3G", 3 << 30), ("64", 64 << 20), ("1024K", 1 << 20), ("2GiB", 2 << 30),
      ("1t", 1 << 40), ("16mb", 16 << 20),
    ] as [(String, UInt64)])
  func `amounts of memory are read as people write them`(text: String, bytes: UInt64) {
    #expect(ByteCount(text)?.bytes == bytes)
  }

  @Test(arguments: [
    "", "M", "-1M", "1.5G", "1X", "512 M", "99999999999999999999", "16777216T", "٣G",
  ])
  func `what is no amount of memory is refused`(text: String) {
    #expect(ByteCount(text) == nil)
  }

  @Test(arguments: [1 << 10, 3 << 20, 512 << 20, 3 << 30, 1025 << 20, 5 << 40] as [UInt64])
  func `an amount of memory reads back as it was written`(bytes: UInt64) {
    #expect(ByteCount(ByteCount(bytes: bytes).description)?.bytes == bytes)
  }

  @Test func `a configuration survives being stored`() throws {
    var configuration = MachineConfiguration(kernel: "vmlinuz", initrd: "initrd.img")
    configuration.memory = .mebibytes(3072)
    configuration.accelerator = .soft

    let stored = try JSONEncoder().encode(configuration)

    #expect(try JSONDecoder().decode(MachineConfiguration.self, from: stored) == configuration)
    #expect(String(decoding: stored, as: UTF8.self).contains("\"3G\""))
  }
}

@Suite struct ConsoleLogTests {
  @Test func `the last lines come without line ends, blank lines and control characters`() {
    let log = ConsoleLog()
    write("one\r\n\r\n  \r\ntwo\u{1b}[0m\r\nthree", to: log)
    #expect(log.lastLines(2) == ["two[0m", "three"])
    #expect(log.lastLines(9).count == 3)
  }

  @Test func `a long console keeps its end only`() {
    let log = ConsoleLog()
    for number in 0..<20_000 { write("line \(number)\n", to: log) }

    #expect(log.lastLines(1) == ["line 19999"])
    #expect(log.lastLines(.max).count < 10_000)
  }

  private func write(_ text: String, to log: ConsoleLog) {
    let bytes = [UInt8](text.utf8)
    log.write(bytes.span)
  }
}

@Suite struct LeaveKeyTests {
  private typealias Press = (keys: [UInt8], time: UInt64)
  private static let key = LeaveKey.byte

  /// Whether the last of the presses leaves, and none before it.
  private func leaves(_ presses: [Press]) -> Bool {
    var leave = LeaveKey()
    let answers = presses.map { leave.sees($0.keys, at: $0.time) }
    return answers.dropLast().allSatisfy { !$0 } && answers.last == true
  }

  @Test func `three presses within a second leave`() {
    let key = Self.key
    #expect(leaves([([key], 1_000_000_000), ([key], 1_500_000_000), ([key], 2_000_000_000)]))
  }

  @Test func `three at once leave too`() {
    #expect(leaves([([0x61, Self.key, Self.key, Self.key], 5)]))
  }

  @Test func `slow presses, or other keys between, do not`() {
    let key = Self.key
    #expect(!leaves([([key], 0), ([key], 900_000_000), ([key], 1_800_000_000)]))
    #expect(!leaves([([key], 0), ([0x61, key, key], 100)]))
  }
}
