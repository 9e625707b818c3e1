import DeviceModel
import Glibc
import Host
import HostBackends
import SeededRandom
import Testing

/// Raw disks by way of io_uring; where the host has none, there is nothing to test.
@Suite struct RingStoreTests {
  private let folder: TemporaryFolder
  private let path: String
  private let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 >> 9 ^ $0) }

  init() throws {
    folder = try TemporaryFolder()
    path = try folder.file("disk", bytes)
  }

  private func store(isReadOnly: Bool = false, cache: DiskFile.Cache = .writeback) throws
    -> RingStore?
  {
    let file = try FileDescriptor.open(path, isReadOnly ? O_RDONLY : O_RDWR)
    let image = RawImage(
      DiskFile(file, isReadOnly: isReadOnly, cache: cache), capacity: 1 << 20, isGuess: true)
    return try RingStore(image)
  }

  @Test(arguments: DiskFile.Cache.allCases)
  func `more requests than the ring has room for are all carried out`(
    cache: DiskFile.Cache
  ) throws {
    guard let store = try store(cache: cache) else { return }
    var random = SeededGenerator(seed: 1)
    let old = Memory([UInt8](repeating: 0, count: 1 << 19))
    let new = Memory((0..<1 << 19).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    let results = Monitor<[BlockResult]>([])
    for number in (0..<128).shuffled(using: &random) {
      let pieces = [old, new].map { memory in
        Memory.pieces(
          of: memory, from: number * 4096, count: 4096, size: number % 2 == 0 ? 4096 : 512)
      }
      // The first half is read, the second is written.
      store.submit(BlockRequest(.read, at: UInt64(number * 4096), pieces: pieces[0])) { result in
        results.change { $0.append(result) }
      }
      let place = UInt64(1 << 19 + number * 4096)
      store.submit(BlockRequest(.write, at: place, pieces: pieces[1])) { result in
        results.change { $0.append(result) }
      }
    }
    store.drain()
    let all = results.wait { $0.count == 256 ? $0 : nil }
    #expect(all?.allSatisfy { $0 == .success } == true)
    #expect(Array(old.buffer) == Array(bytes[..<(1 << 19)]))
    #expect(Array(try contents(of: path)[(1 << 19)...]) == Array(new.buffer))
  }

  @Test(.timeLimit(.minutes(1)))
  func `draining does not wait for those who wait for it`() throws {
    let image = RawImage(
      DiskFile(try .open(path, O_RDWR), isReadOnly: false), capacity: 1 << 20)
    let stores: [(any BlockStore)?] = [try DiskWorkers(image), try RingStore(image)]
    for store in stores.compactMap({ $0 }) {
      let memory = Memory([UInt8](repeating: 0, count: 1 << 18))
      // As a device's lock: its reset drains, its requests' ends want the lock.
      let device = Monitor(0)
      device.withLock { _ in
        for number in 0..<64 {
          let pieces = Memory.pieces(of: memory, from: number * 4096, count: 4096, size: 4096)
          store.submit(BlockRequest(.read, at: UInt64(number * 4096), pieces: pieces)) { _ in
            device.change { $0 += 1 }
          }
        }
        store.drain()
      }
      #expect(device.wait { $0 == 64 ? $0 : nil } == 64)
      #expect(Array(memory.buffer) == Array(bytes[..<(1 << 18)]))
    }
  }

  private func perform(_ request: BlockRequest, on store: RingStore) -> BlockResult? {
    let result = Monitor<BlockResult?>(nil)
    store.submit(request) { answer in result.change { $0 = answer } }
    return result.wait { $0 }
  }

  @Test func `what is behind the file's end is zeros`() throws {
    guard let store = try store() else { return }
    truncate(path, 100_000)
    let memory = Memory([UInt8](repeating: 1, count: 8192))
    #expect(
      perform(BlockRequest(.read, at: 98304, pieces: memory.pieces(8192)), on: store) == .success)
    #expect(
      Array(memory.buffer) == Array(bytes[98304..<100_000]) + [UInt8](repeating: 0, count: 6496))
  }

  @Test func `what the host or a guess forbids fails`() throws {
    let memory = Memory([0x51, 0x46, 0x49, 0xfb] + [UInt8](repeating: 0, count: 508))
    guard let store = try store(), let reader = try self.store(isReadOnly: true) else { return }
    let request = BlockRequest(.write, at: 0, pieces: memory.pieces(512))
    #expect(perform(request, on: store) == .failure(EPERM))
    let other = BlockRequest(.write, at: 512, pieces: memory.pieces(512))
    #expect(perform(other, on: reader) == .failure(EBADF))
    #expect(perform(other, on: store) == .success)
    #expect(perform(BlockRequest(.flush), on: store) == .success)
    #expect(perform(BlockRequest(.discard, at: 4096, count: 4096), on: store) == .success)
    #expect(try contents(of: path)[4096..<8192].allSatisfy { $0 == 0 })
  }
}
