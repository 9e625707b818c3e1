import DeviceModel
import Glibc
import Host
import HostBackends
import Testing

@Suite struct DiskOpenerTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func failure(_ path: String, _ opener: DiskOpener = DiskOpener()) -> DiskError? {
    do throws(DiskError) {
      _ = try opener.image(path)
      return nil
    } catch { return error }
  }

  @Test(
    arguments: [
      (["-o", "extended_l2=on"], .feature(4)), (["-o", "data_file=DIR/data"], .feature(2)),
      (
        ["-o", "encrypt.format=luks,encrypt.key-secret=s", "--object", "secret,id=s,data=x"],
        .encrypted
      ),
    ] as [([String], QCOW2Fault)])
  func `what an image needs and Apus has not is named`(options: [String], fault: QCOW2Fault) throws
  {
    let path = folder.path + "/disk"
    let words = options.map { word -> String in
      let parts = word.split(separator: "=", maxSplits: 1)
      return word.hasPrefix("data_file") ? "\(parts[0])=\(folder.path)/data" : word
    }
    let made = try runProgram(["qemu-img", "create", "-f", "qcow2"] + words + [path, "1M"])
    #expect(made.status == 0, "\(made.output)")
    #expect(failure(path) == .qcow2(fault))
  }

  @Test func `formats of others are recognised`() throws {
    for (option, name) in [("vmdk", "VMDK"), ("vhdx", "VHDX"), ("vdi", "VDI"), ("qed", "QED")] {
      let path = folder.path + "/disk.\(option)"
      try runProgram(["qemu-img", "create", "-f", option, path, "16M"])
      #expect(failure(path) == .foreignFormat(name))
    }
  }

  @Test func `two cannot write an image, and readers keep writers away`() throws {
    let path = try folder.file("disk", [UInt8](repeating: 0, count: 4096))
    var reader = DiskOpener()
    reader.isReadOnly = true
    do {
      let first = try DiskOpener().image(path)
      #expect(failure(path) == .inUse(by: nil))
      #expect(failure(path, reader) == .inUse(by: nil))
      try first.flush()
    }
    let one = try reader.image(path)
    #expect(failure(path, reader) == nil)
    #expect(failure(path) == .inUse(by: nil))
    try one.flush()
  }

  @Test func `who has locked an image is named`() throws {
    let path = try folder.file("disk", [UInt8](repeating: 0, count: 4096))
    var words: [UnsafeMutablePointer<CChar>?] =
      (["flock", path, "sleep", "20"] as [String]).map { strdup($0) } + [nil]
    var process = pid_t()
    try #require(posix_spawnp(&process, "flock", nil, nil, &words, environ) == 0)
    defer {
      kill(process, SIGTERM)
      waitpid(process, nil, 0)
    }
    for _ in 0..<200 where failure(path) == nil { usleep(10_000) }
    #expect(failure(path) == .inUse(by: LockHolder(process: Int(process), name: "flock")))
  }

  @Test func `what is written to an ephemeral disk is gone`() throws {
    let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 >> 7) }
    let path = try folder.file("disk", bytes)
    var options = DiskOptions(path: path)
    options.isEphemeral = true
    let store = try options.open()
    #expect(!store.isReadOnly && store.capacity == 1 << 20)
    let memory = Memory([UInt8](repeating: 0xaa, count: 4096))
    let back = Memory([UInt8](repeating: 0, count: 8192))
    let results = Monitor<[BlockResult]>([])
    store.submit(BlockRequest(.write, at: 8192, pieces: memory.pieces(4096))) { result in
      results.change { $0.append(result) }
    }
    store.drain()
    store.submit(BlockRequest(.read, at: 6144, pieces: back.pieces(8192))) { result in
      results.change { $0.append(result) }
    }
    #expect(results.wait { $0.count == 2 ? $0 : nil } == [.success, .success])
    #expect(
      Array(back.buffer)
        == Array(bytes[6144..<8192]) + Array(memory.buffer) + Array(bytes[12288..<14336]))
    #expect(try contents(of: path) == bytes)
  }
}
