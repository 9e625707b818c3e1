import DeviceModel
import Glibc
import Host
import HostBackends
import SeededRandom
import Testing

/// qcow2 images against a plain array of bytes, and against qemu-img.
@Suite struct QCOW2Tests {
  private let folder: TemporaryFolder
  private let path: String
  private static let size = 3 << 20

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path + "/disk.qcow2"
  }

  private func open(isReadOnly: Bool = false) throws -> any DiskImage {
    var opener = DiskOpener()
    opener.isReadOnly = isReadOnly
    return try opener.image(path)
  }

  /// Has qemu-img say that the image is sound and has these contents.
  private func compare(with bytes: [UInt8]) throws {
    let check = try runProgram(["qemu-img", "check", path])
    #expect(check.status == 0, "\(check.output)")
    let raw = try folder.file("expected.raw", bytes)
    let compare = try runProgram(["qemu-img", "compare", "-F", "raw", path, raw])
    #expect(compare.status == 0, "\(compare.output)")
  }

  /// Does anything to the image and the same to the bytes.
  private func change(
    _ image: any DiskImage, _ bytes: inout [UInt8], _ random: inout SeededGenerator, times: Int
  ) throws {
    for _ in 0..<times {
      let isLong = random.next() % 4 == 0
      let sectors = 1 + Int(random.next() % (isLong ? 600 : 9))
      let start = Int(random.next() % UInt64(bytes.count / 512 - sectors)) * 512
      let range = start..<start + sectors * 512
      switch random.next() % 8 {
      case 0:
        try image.writeZeroes(UInt64(range.lowerBound)..<UInt64(range.upperBound))
        bytes.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
      case 1:
        try image.discard(UInt64(range.lowerBound)..<UInt64(range.upperBound))
        // Zeros or as before, but nothing else.
        let now = try image.bytes(at: UInt64(start), count: range.count)
        #expect(zip(now, bytes[range]).allSatisfy { $0 == 0 || $0 == $1 })
        bytes.replaceSubrange(range, with: now)
      case 2: try image.flush()
      case 3:
        #expect(try image.bytes(at: UInt64(start), count: range.count) == Array(bytes[range]))
      default:
        let new = (0..<range.count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try image.write(new, at: UInt64(start))
        bytes.replaceSubrange(range, with: new)
      }
    }
    #expect(try image.bytes(at: 0, count: bytes.count) == bytes)
  }

  @Test(arguments: [
    "cluster_size=512,refcount_bits=1", "cluster_size=512,refcount_bits=64",
    "cluster_size=4096,refcount_bits=4", "cluster_size=65536", "compat=0.10",
    "cluster_size=2M,refcount_bits=8", "cluster_size=1024,refcount_bits=32,lazy_refcounts=on",
  ])
  func `random requests leave what an array would have`(options: String) throws {
    #expect(
      try runProgram(["qemu-img", "create", "-f", "qcow2", "-o", options, path, "3M"]).status == 0)
    var random = SeededGenerator(seed: 7)
    var bytes = [UInt8](repeating: 0, count: Self.size)
    for _ in 0..<2 {
      try change(try open(), &bytes, &random, times: 300)
      try compare(with: bytes)
    }
  }

  @Test(arguments: ["raw", "qcow2"], ["1.1", "0.10"])
  func `what an image has not is in its backing file`(format: String, version: String) throws {
    var bytes = (0..<Self.size - 100_352).map { UInt8(truncatingIfNeeded: $0 >> 8 ^ $0) }
    let raw = try folder.file("base.raw", bytes)
    let base = folder.path + "/base.\(format)"
    if format == "qcow2" {
      try runProgram(["qemu-img", "convert", "-O", "qcow2", raw, base])
    }
    try runProgram([
      "qemu-img", "create", "-f", "qcow2", "-b", "base.\(format)", "-F", format, "-o",
      "compat=\(version),cluster_size=4096", path, "3M",
    ])
    bytes += [UInt8](repeating: 0, count: Self.size - bytes.count)
    var random = SeededGenerator(seed: 8)
    try change(try open(), &bytes, &random, times: 300)
    try compare(with: bytes)
  }

  @Test(arguments: ["zlib", "zstd"], ["512", "4096", "65536", "2M"])
  func `compressed clusters are read and written over`(kind: String, cluster: String) throws {
    var random = SeededGenerator(seed: 9)
    var bytes = (0..<Self.size).map { $0 >> 10 & 1 == 0 ? UInt8(truncatingIfNeeded: $0 / 77) : 9 }
    for index in stride(from: 0, to: bytes.count, by: 5) {
      bytes[index] = UInt8(truncatingIfNeeded: random.next()) & 15
    }
    let raw = try folder.file("source.raw", bytes)
    let options = "compression_type=\(kind),cluster_size=\(cluster)"
    let made = try runProgram([
      "qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, raw, path,
    ])
    #expect(made.status == 0, "\(made.output)")
    #expect(try open(isReadOnly: true).bytes(at: 0, count: bytes.count) == bytes)
    try change(try open(), &bytes, &random, times: 200)
    try compare(with: bytes)
  }

  @Test func `whenever the monitor dies, the image is sound and has what was flushed`() throws {
    try runProgram(["qemu-img", "create", "-f", "qcow2", "-o", "cluster_size=1024", path, "3M"])
    let copy = folder.path + "/copy.qcow2"
    let image = try open()
    var random = SeededGenerator(seed: 11)
    var bytes = [UInt8](repeating: 0, count: Self.size)
    for _ in 0..<10 {
      try change(image, &bytes, &random, times: 15)
      try runProgram(["cp", path, copy])
      let status = try runProgram(["qemu-img", "check", copy]).status
      #expect(status == 0 || status == 3, "lost space at most")
      try image.flush()
      try runProgram(["cp", path, copy])
      #expect(try runProgram(["qemu-img", "check", copy]).status == 0)
      let raw = try folder.file("flushed.raw", bytes)
      let compare = try runProgram(["qemu-img", "compare", "-F", "raw", copy, raw])
      #expect(compare.status == 0, "\(compare.output)")
    }
  }

  @Test func `snapshots stay as they are`() throws {
    try runProgram(["qemu-img", "create", "-f", "qcow2", "-o", "cluster_size=4096", path, "3M"])
    var random = SeededGenerator(seed: 10)
    var bytes = [UInt8](repeating: 0, count: Self.size)
    try change(try open(), &bytes, &random, times: 100)
    let before = bytes
    #expect(try runProgram(["qemu-img", "snapshot", "-c", "then", path]).status == 0)
    try change(try open(), &bytes, &random, times: 100)
    try compare(with: bytes)
    let image = try open() as? QCOW2Image
    #expect(try image?.snapshots().map(\.name) == ["then"])
    #expect(try image?.check().isClean == true)
    #expect(try runProgram(["qemu-img", "snapshot", "-a", "then", path]).status == 0)
    try compare(with: before)
  }

  @Test func `lost and missing counts are found and repaired`() throws {
    try runProgram(["qemu-img", "create", "-f", "qcow2", path, "3M"])
    var bytes = [UInt8](repeating: 7, count: Self.size)
    try open().write(bytes, at: 0)
    let file = try FileDescriptor.open(path, O_RDWR)
    // The first counts: the header, the table and the block keep theirs.
    let block = try contents(of: path)[0x1_0000..<0x1_0008].reduce(0) { $0 << 8 | UInt64($1) }
    let counts: [UInt8] = [0, 5, 0, 0]
    try counts.withUnsafeBytes { try file.write($0, at: block + 5 * 2) }
    let image = try #require(try open() as? QCOW2Image)
    let report = try image.check(repairing: true)
    #expect(report.leaks == 1)
    #expect(report.corruptions >= 1)
    #expect(try image.check().isClean)
    try image.write([UInt8](repeating: 8, count: 4096), at: 1 << 20)
    bytes.replaceSubrange(1 << 20..<1 << 20 + 4096, with: [UInt8](repeating: 8, count: 4096))
    try image.flush()
    try compare(with: bytes)
  }

  @Test func `discarding frees blocks of the host`() throws {
    try runProgram(["qemu-img", "create", "-f", "qcow2", path, "64M"])
    let image = try open()
    try image.write([UInt8](repeating: 1, count: 32 << 20), at: 0)
    try image.flush()
    var before = stat()
    var after = stat()
    stat(path, &before)
    try image.discard(0..<32 << 20)
    try image.flush()
    stat(path, &after)
    #expect(before.st_blocks > 60_000)
    #expect(after.st_blocks < 4_000)
    // And the space is used again.
    try image.write([UInt8](repeating: 2, count: 16 << 20), at: 32 << 20)
    try image.flush()
    stat(path, &after)
    #expect(after.st_size == before.st_size)
    #expect(try runProgram(["qemu-img", "check", path]).status == 0)
  }
}
