import DeviceModel
import Glibc
import Host
import HostBackends
import SeededRandom
import Testing

/// Images that somebody has damaged on purpose: nothing may trap, hang or take memory without bound.
@Suite struct QCOW2FuzzTests {
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `damaged images end in an error or in bytes`(seed: UInt64) throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/disk.qcow2"
    let raw = try folder.file("raw", (0..<1 << 18).map { UInt8(truncatingIfNeeded: $0 / 99) })
    try runProgram([
      "qemu-img", "convert", "-c", "-O", "qcow2", "-o", "cluster_size=4096,compression_type=zstd",
      raw, path,
    ])
    try runProgram(["qemu-img", "snapshot", "-c", "one", path])
    let sound = try contents(of: path)
    var random = SeededGenerator(seed: seed)
    var (refused, failed, worked) = (0, 0, 0)
    for _ in 0..<400 {
      let damaged = Self.damage(sound, &random)
      let victim = try folder.file("victim", damaged)
      guard let image = try? DiskOpener().image(victim, format: .qcow2) else {
        refused += 1
        continue
      }
      if (try? Self.use(image, &random)) == nil { failed += 1 } else { worked += 1 }
    }
    #expect(refused > 20)
    #expect(failed > 20)
    #expect(worked > 20)
  }

  private static func damage(_ sound: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = sound
    for _ in 0...random.next() % 6 {
      // Mostly numbers of the header and of tables, which begin clusters.
      let cluster = Int(random.next() % UInt64(bytes.count / 4096)) * 4096
      let place =
        random.next() % 3 == 0
        ? Int(random.next() % 112) : cluster + Int(random.next() % 512)
      let values: [UInt8] = [0, 0xff, 0x80, UInt8(truncatingIfNeeded: random.next())]
      bytes[min(place, bytes.count - 1)] = values[Int(random.next() % 4)]
    }
    if random.next() % 8 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
    return bytes
  }

  private static func use(_ image: any DiskImage, _ random: inout SeededGenerator) throws {
    let last = max(image.capacity, 65536) - 65536
    for place in [0, 4096 * 20, last / 512 * 512] as [UInt64] where place + 65536 <= image.capacity
    {
      _ = try image.bytes(at: place, count: 65536)
      try image.write([UInt8](repeating: 3, count: 5120), at: place + 512)
      try image.discard(place..<place + 32768)
    }
    try image.flush()
    _ = try (image as? QCOW2Image)?.check(repairing: random.next() % 2 == 0)
  }

  @Test func `a loop of backing files ends`() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/disk.qcow2"
    for (name, backing) in [("disk.qcow2", "other.qcow2"), ("other.qcow2", "disk.qcow2")] {
      try runProgram([
        "qemu-img", "create", "-u", "-f", "qcow2", "-b", backing, "-F", "qcow2",
        folder.path + "/" + name, "1M",
      ])
    }
    var opener = DiskOpener()
    opener.isReadOnly = true
    do throws(DiskError) {
      _ = try opener.image(path)
      Issue.record("a chain without an end was opened")
    } catch {
      #expect(error == .backing(path: path, .qcow2(.endlessChain)))
    }
  }
}
