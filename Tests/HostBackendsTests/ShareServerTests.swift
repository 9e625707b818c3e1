import Foundation
import HostBackends
import SeededRandom
import Testing

/// The driver's side of a share: makes messages and takes answers apart.
private struct ShareDriver {
  let server: ShareServer
  let folder: URL

  /// A share of a fresh directory with a file, a directory, and links out of it.
  init(isReadOnly: Bool = false) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "share-\(UUID().uuidString)")
    let files = FileManager.default
    try files.createDirectory(at: folder.appending(path: "a"), withIntermediateDirectories: true)
    try Data("hello".utf8).write(to: folder.appending(path: "f"))
    try files.createSymbolicLink(
      atPath: folder.appending(path: "out").path, withDestinationPath: "/etc")
    server = try ShareServer(path: folder.path, isReadOnly: isReadOnly)
    _ = call(26, fields: [7, 31, 0x1_0000, ~0])
  }

  func remove() { try? FileManager.default.removeItem(at: folder) }

  /// The error number (0 for none) and what follows the header.
  func call(
    _ operation: UInt32, node: UInt64 = 1, fields: [UInt32] = [], text: String = ""
  ) -> (error: Int32, body: [UInt8]) {
    let content = fields.flatMap(Self.bytes) + (text.isEmpty ? [] : Array(text.utf8) + [0])
    let header: [UInt8] =
      Self.bytes(UInt32(40 + content.count)) + Self.bytes(operation) + Self.bytes(UInt64(7))
      + Self.bytes(node) + Self.bytes(UInt32(geteuid())) + Self.bytes(UInt32(getegid()))
      + [UInt8](repeating: 0, count: 8)
    let answer = server.answer(header + content, limit: 1 << 16)
    guard answer.count >= 16 else { return (0, []) }
    return (-Int32(bitPattern: UInt32(Self.number(answer, 4, 4))), Array(answer[16...]))
  }

  func lookup(_ name: String, in node: UInt64 = 1) -> (error: Int32, node: UInt64, mode: UInt64) {
    let (error, body) = call(1, node: node, text: name)
    return error == 0 ? (0, Self.number(body, 0, 8), Self.number(body, 100, 4)) : (error, 0, 0)
  }

  static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Value(8 * $0)) }
  }

  static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }
}

@Suite struct ShareServerTests {
  @Test func `a file is found, opened, read and written`() throws {
    let driver = try ShareDriver()
    defer { driver.remove() }
    let file = driver.lookup("f")
    #expect(file.error == 0 && file.mode & 0o170000 == 0o100000)
    let open = driver.call(14, node: file.node, fields: [2, 0])
    let handle = ShareDriver.number(open.body, 0, 4)
    let read = driver.call(
      15, node: file.node, fields: [UInt32(handle), 0, 1, 0, 3, 0, 0, 0, 0, 0])
    #expect(read.body == Array("ell".utf8))
    var write: [UInt32] = [UInt32(handle), 0, 5, 0, 4, 0, 0, 0, 0, 0]
    write.append(0x2121_2121)
    #expect(driver.call(16, node: file.node, fields: write).error == 0)
    let content = try String(contentsOf: driver.folder.appending(path: "f"), encoding: .utf8)
    #expect(content == "hello!!!!")
  }

  @Test(arguments: ["..", ".", "a/../..", "/etc", "out/passwd"])
  func `no name leads out of the share`(name: String) throws {
    let driver = try ShareDriver()
    defer { driver.remove() }
    #expect(driver.lookup(name).error != 0)
  }

  @Test func `a link is a link, not where it leads`() throws {
    let driver = try ShareDriver()
    defer { driver.remove() }
    let link = driver.lookup("out")
    #expect(link.mode & 0o170000 == 0o120000)
    #expect(driver.call(5, node: link.node).body == Array("/etc".utf8))
    #expect(driver.lookup("passwd", in: link.node).error != 0)
    #expect(driver.call(14, node: link.node, fields: [0, 0]).error != 0, "it cannot be opened")
    #expect(driver.call(27, node: link.node, fields: [0, 0]).error != 0)
    #expect(
      driver.call(4, node: link.node, fields: [1] + [UInt32](repeating: 0, count: 21)).error != 0)
  }

  @Test func `a directory that becomes a link stays the directory that it was`() throws {
    let driver = try ShareDriver()
    defer { driver.remove() }
    let directory = driver.lookup("a")
    try FileManager.default.removeItem(at: driver.folder.appending(path: "a"))
    try FileManager.default.createSymbolicLink(
      atPath: driver.folder.appending(path: "a").path, withDestinationPath: "/etc")
    #expect(driver.lookup("passwd", in: directory.node).error != 0)
  }

  @Test func `entries are made, moved and removed`() throws {
    let driver = try ShareDriver()
    defer { driver.remove() }
    #expect(driver.call(9, fields: [0o755, 0], text: "new").error == 0)
    let made = driver.lookup("new")
    #expect(driver.call(35, node: made.node, fields: [2, 0o640, 0, 0], text: "file").error == 0)
    #expect(
      driver.call(35, node: made.node, fields: [0o302, 0o640, 0, 0], text: "file").error == 17)
    #expect(driver.call(12, fields: [UInt32(made.node), 0], text: "f\0moved").error == 0)
    #expect(driver.lookup("f").error == 2)
    #expect(driver.lookup("moved", in: made.node).error == 0)
    #expect(driver.call(11, text: "new").error == 39)
    #expect(driver.call(10, node: made.node, text: "moved").error == 0)
    #expect(driver.call(8, fields: [0o060600, 8, 0, 0], text: "disk").error == 1, "no devices")
  }

  @Test func `a share that is only read is not changed`() throws {
    let driver = try ShareDriver(isReadOnly: true)
    defer { driver.remove() }
    let file = driver.lookup("f")
    #expect(driver.call(14, node: file.node, fields: [0, 0]).error == 0)
    for (operation, fields, text) in [
      (14, [1, 0], ""), (14, [0o1000, 0], ""), (35, [2, 0o600, 0, 0], "x"), (9, [0o755, 0], "x"),
      (10, [], "f"), (12, [1, 0], "f\0g"), (21, [1, 0], "user.a\0b"),
      (4, [1] + [UInt32](repeating: 0, count: 21), ""),
    ] as [(UInt32, [UInt32], String)] {
      let node = [14, 4, 21].contains(operation) ? file.node : 1
      #expect(driver.call(operation, node: node, fields: fields, text: text).error == 30)
    }
  }

  @Test func `a directory lists what is in it, with attributes`() throws {
    let driver = try ShareDriver()
    defer { driver.remove() }
    let handle = UInt32(ShareDriver.number(driver.call(27, fields: [0, 0]).body, 0, 4))
    let listing = driver.call(44, fields: [handle, 0, 0, 0, 4096, 0, 0, 0, 0, 0]).body
    var names: [String] = []
    var place = 0
    while place + 152 < listing.count {
      let count = Int(ShareDriver.number(listing, place + 144, 4))
      names.append(String(decoding: listing[place + 152..<place + 152 + count], as: UTF8.self))
      place += (152 + count + 7) & ~7
    }
    #expect(Set(names) == [".", "..", "a", "f", "out"])
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random messages are answered or refused`(seed: UInt64) throws {
    let driver = try ShareDriver()
    defer { driver.remove() }
    var random = SeededGenerator(seed: seed)
    var answered = 0
    for _ in 0..<20_000 {
      let fields = (0..<random.next() % 24).map { _ in
        UInt32(truncatingIfNeeded: random.next() % 4 == 0 ? random.next() : random.next() % 8)
      }
      let text = ["", "f", "a", "out", "x", "f\0y", ".."].randomElement(using: &random) ?? ""
      let operation = UInt32(random.next() % 50)
      if operation == 26 || operation == 38 { continue }
      let (error, _) = driver.call(
        operation, node: random.next() % 8, fields: fields, text: text)
      if error == 0 { answered += 1 }
    }
    #expect(answered > 100)
    #expect(driver.call(3).error == 0, "the top is still there")
  }
}
