import Foundation
import HostBackends
import Testing

/// The files of a newc archive by name: mode and contents.
private func entries(_ archive: [UInt8]) throws -> [String: (mode: Int, contents: [UInt8])] {
  var found: [String: (mode: Int, contents: [UInt8])] = [:]
  var position = 0
  func field(_ index: Int) throws -> Int {
    let start = position + 6 + index * 8
    let digits = String(decoding: archive[start..<start + 8], as: UTF8.self)
    return try #require(Int(digits, radix: 16))
  }
  while true {
    try #require(String(decoding: archive[position..<position + 6], as: UTF8.self) == "070701")
    let (mode, size, nameSize) = (try field(1), try field(6), try field(11))
    let name = String(
      decoding: archive[position + 110..<position + 110 + nameSize - 1], as: UTF8.self)
    if name == "TRAILER!!!" { return found }
    let contents = (position + 110 + nameSize + 3) & ~3
    found[name] = (mode, Array(archive[contents..<contents + size]))
    position = (contents + size + 3) & ~3
  }
}

private let hasBusybox = Initramfs.busyboxPaths.contains {
  FileManager.default.fileExists(atPath: $0)
}

@Test(.enabled(if: hasBusybox, "busybox-static is not installed"))
func `the image has a program to start, a shell and commands`() throws {
  let image = try Initramfs(.report).image()

  let files = try entries(image)

  let program = try #require(files["init"])
  #expect(program.mode == 0o100755)
  #expect(Array(program.contents.prefix(4)) == [0x7f, 0x45, 0x4c, 0x46])
  #expect(files["bin/busybox"]?.mode == 0o100755)
  #expect(files["dev/console"]?.mode == 0o020600)
  #expect(files["bin/sh"]?.mode == 0o120777)
  #expect(files["bin/sh"]?.contents == Array("busybox".utf8))
}

@Test(.enabled(if: hasBusybox, "busybox-static is not installed"))
func `a command reaches the guest byte for byte`() throws {
  let arguments = ["printf", "%s\n", "", "a'b \"c\" $d\n\t", "žluť"]
  var initramfs = Initramfs(.command(arguments))
  initramfs.environment = ["COLOUR=blue"]

  let files = try entries(try initramfs.image())

  let order = try #require(files["etc/apus/order"]?.contents)
  let strings = order.split(separator: 0, omittingEmptySubsequences: false)
    .map { String(decoding: $0, as: UTF8.self) }
  #expect(strings.first == "command")
  #expect(strings.suffix(arguments.count + 1).dropLast() == arguments[...])
  #expect(strings.contains("COLOUR=blue"))
  let end = try #require(strings.dropFirst(7).firstIndex(of: ""))
  #expect(strings[end + 1] == "printf")
}

@Test(.enabled(if: hasBusybox, "busybox-static is not installed"))
func `the image says who runs the command, and what is mounted and loaded before`() throws {
  var initramfs = Initramfs(.command(["id"]))
  initramfs.user = Initramfs.User(number: 1000, group: 100, groups: [4, 27])
  initramfs.directory = "/srv/project"
  initramfs.mounts = [.init(tag: "share0", path: "/"), .init(tag: "share1", path: "/data")]
  initramfs.modules = [[1, 2, 3], [4]]

  let files = try entries(try initramfs.image())

  let order = try #require(files["etc/apus/order"]?.contents)
  #expect(
    String(decoding: order, as: UTF8.self)
      .split(separator: "\0", omittingEmptySubsequences: false).prefix(7)
      == ["command", "0", "0", "/srv/project", "1000", "100", "4,27"])
  #expect(files["etc/apus/mounts"]?.contents == Array("share0\0/\0share1\0/data\0".utf8))
  #expect(files["etc/apus/modules/0"]?.contents == [1, 2, 3])
  #expect(files["etc/apus/modules/1"]?.contents == [4])
}

@Test func `a command that cannot be handed over is refused`() {
  #expect(throws: InitramfsError.emptyCommand) { try Initramfs(.command([])).image() }
  #expect(throws: InitramfsError.zeroByte(in: "a\0b")) {
    try Initramfs(.command(["echo", "a\0b"])).image()
  }
  let long = String(repeating: "x", count: 2 << 20)
  #expect {
    try Initramfs(.command(["echo", long])).image()
  } throws: { error in
    if case .commandTooLong = error as? InitramfsError { true } else { false }
  }
}

@Test(.enabled(if: hasBusybox, "busybox-static is not installed"))
func `every command of the image is one of busybox's`() throws {
  let path = try #require(
    Initramfs.busyboxPaths.first { FileManager.default.fileExists(atPath: $0) })
  let known = Set(try run(path, ["--list"]).output.split(separator: "\n").map(String.init))

  let files = try entries(try Initramfs(.report).image())

  let links = files.filter { $0.key.hasPrefix("bin/") && $0.value.mode == 0o120777 }
  #expect(links.count > 200)
  #expect(links.keys.map { String($0.dropFirst(4)) }.filter { !known.contains($0) } == [])
}
