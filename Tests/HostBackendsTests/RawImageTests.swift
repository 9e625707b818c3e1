import DeviceModel
import Glibc
import Host
import HostBackends
import Synchronization
import Testing

@Suite struct RawImageTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = try folder.file("disk", (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 >> 9) })
  }

  private func image(isReadOnly: Bool = false) throws -> RawImage {
    let file = try FileDescriptor.open(path, isReadOnly ? O_RDONLY : O_RDWR)
    return RawImage(DiskFile(file, isReadOnly: isReadOnly), capacity: 1 << 20, isGuess: true)
  }

  @Test func `bytes are those of the file`() throws {
    let image = try image()
    #expect(try image.bytes(at: 512, count: 4096) == Array(try contents(of: path)[512..<4608]))
    let new = (0..<5120).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try image.write(new, at: 1024)
    try image.flush()
    #expect(Array(try contents(of: path)[1024..<6144]) == new)
  }

  @Test func `discarded ranges are zeros and take no space`() throws {
    let image = try image()
    var before = stat()
    var after = stat()
    stat(path, &before)
    try image.discard(0..<512 << 10)
    stat(path, &after)
    #expect(after.st_blocks <= before.st_blocks - 1000)
    #expect(after.st_size == 1 << 20)
    #expect(try image.bytes(at: 0, count: 512 << 10).allSatisfy { $0 == 0 })
    try image.writeZeroes(600 << 10..<601 << 10)
    #expect(try image.bytes(at: 600 << 10, count: 1024).allSatisfy { $0 == 0 })
    #expect(try image.bytes(at: 601 << 10, count: 1)[0] != 0)
  }

  @Test func `only whole sectors count`() throws {
    let file = try FileDescriptor.open(path, O_RDONLY)
    #expect(RawImage(DiskFile(file, isReadOnly: true), capacity: 1023).capacity == 512)
  }

  @Test func `a guest cannot make a guessed raw image one of another format`() throws {
    let image = try image()
    for head in [[0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3], Array("KDMV".utf8)] {
      let sector = head + [UInt8](repeating: 0, count: 1024 - head.count)
      #expect(throws: SystemError(call: "pwrite", errno: EPERM)) {
        try image.write(sector, at: 0)
      }
      try image.write(sector, at: 512)
    }
    let sectors = (0..<1024).map { UInt8(truncatingIfNeeded: $0 / 3) }
    try image.write(sectors, at: 0)
    #expect(Array(try contents(of: path).prefix(1024)) == sectors)
  }

  @Test(arguments: DiskFile.Cache.allCases)
  func `every way to cache gives the same bytes`(cache: DiskFile.Cache) throws {
    let file = DiskFile(try .open(path, O_RDWR), isReadOnly: false, cache: cache)
    let image = RawImage(file, capacity: 1 << 20)
    let memory = Memory((0..<8192).map { UInt8(truncatingIfNeeded: $0 / 5) })
    try image.write(memory.pieces(8192, of: 4096), at: 4096)
    try image.write(memory.pieces(1024), at: 512)
    try image.flush()
    #expect(try image.bytes(at: 4096, count: 8192) == Array(memory.buffer))
    let whole = Memory([UInt8](repeating: 0, count: 4096))
    try image.read(whole.pieces(4096, of: 4096), at: 0)
    #expect(Array(whole.buffer[512..<1536]) == Array(memory.buffer[..<1024]))
  }

  @Test func `many requests at a time are all carried out`() throws {
    let store = try DiskWorkers(try image())
    let results = Monitor<[BlockResult]>([])
    let memory = Memory([UInt8](repeating: 0x5a, count: 64 << 10))
    for number in 0..<64 {
      let pieces = [memory.pieces(64 << 10, of: 1024)[number]]
      store.submit(BlockRequest(.write, at: UInt64(number) * 2048, pieces: pieces)) { result in
        results.change { $0.append(result) }
      }
    }
    store.drain()
    let all = results.wait { $0.count == 64 ? $0 : nil }
    #expect(all == [BlockResult](repeating: .success, count: 64))
    let bytes = try contents(of: path)
    for number in 0..<64 {
      #expect(bytes[number * 2048] == 0x5a)
      #expect(bytes[number * 2048 + 1024] == UInt8(number * 4 + 2))
    }
  }

  @Test func `what the host refuses is the result`() throws {
    let store = try DiskWorkers(try image(isReadOnly: true))
    let result = Monitor<BlockResult?>(nil)
    let memory = Memory([UInt8](repeating: 1, count: 512))
    store.submit(BlockRequest(.write, at: 0, pieces: memory.pieces(512))) { answer in
      result.change { $0 = answer }
    }
    #expect(result.wait { $0 } == .failure(EBADF))
  }

  @Test func `opening says what is no disk`() throws {
    func failure(_ path: String) -> DiskError? {
      do throws(DiskError) {
        _ = try DiskOptions(path: path).open()
        return nil
      } catch { return error }
    }
    #expect(failure("/dev/null") == .notADisk)
    #expect(failure(folder.path + "/none") == .system(SystemError(call: "open", errno: ENOENT)))
    #expect(failure(try folder.file("empty")) == .empty)
    #expect(failure(folder.path) == .system(SystemError(call: "open", errno: EISDIR)))
    #expect(failure(path) == nil)
  }
}
