import DeviceModel
import FakeDevices
import GuestMemory
import Synchronization
import Virtio

/// A disk in memory that carries out requests when it is told to, and not before.
final class MemoryStore: BlockStore {
  private struct State {
    var bytes: [UInt8]
    var waiting: [(BlockRequest, @Sendable (BlockResult) -> Void)] = []
    var done: [BlockRequest.Operation] = []
    var error: Int32?
  }

  let isReadOnly: Bool
  let canDiscard: Bool
  let capacity: UInt64
  private let state: Mutex<State>

  init(sectors: Int, isReadOnly: Bool = false, canDiscard: Bool = true) {
    (self.isReadOnly, self.canDiscard) = (isReadOnly, canDiscard)
    capacity = UInt64(sectors * BlockRequest.sector)
    let bytes = (0..<sectors * BlockRequest.sector).map { UInt8(truncatingIfNeeded: $0 / 512 + 1) }
    state = Mutex(State(bytes: bytes))
  }

  var bytes: [UInt8] { state.withLock { $0.bytes } }
  var waiting: Int { state.withLock { $0.waiting.count } }
  /// What was carried out, in order.
  var done: [BlockRequest.Operation] { state.withLock { $0.done } }

  /// The next requests fail.
  func fail(with error: Int32?) { state.withLock { $0.error = error } }

  func submit(
    _ request: BlockRequest, completion: @escaping @Sendable (BlockResult) -> Void
  ) {
    state.withLock { $0.waiting.append((request, completion)) }
  }

  /// Carries out what waits, the last first: no order is promised.
  func run() {
    while let (request, completion) = state.withLock({ $0.waiting.popLast() }) {
      completion(perform(request))
    }
  }

  /// As if the requests' memory were not used any more; their completions come with `run`.
  func drain() {}

  private func perform(_ request: BlockRequest) -> BlockResult {
    state.withLock { state in
      state.done.append(request.operation)
      if let error = state.error { return .failure(error) }
      var offset = Int(request.offset)
      switch request.operation {
      case .read:
        for piece in request.pieces {
          piece.address.copyMemory(from: Array(state.bytes[offset...]), byteCount: piece.count)
          offset += piece.count
        }
      case .write:
        for piece in request.pieces {
          let new = UnsafeRawBufferPointer(start: piece.address, count: piece.count)
          state.bytes.replaceSubrange(offset..<offset + piece.count, with: new)
          offset += piece.count
        }
      case .flush: break
      case .discard, .writeZeroes:
        for index in offset..<offset + request.count { state.bytes[index] = 0 }
      }
      return .success
    }
  }
}

/// A disk on a bus, with its driver; requests are one descriptor table of header, data and status.
struct DiskBench {
  static let header: UInt64 = 0x4000
  static let data: UInt64 = 0x8000
  static let status: UInt64 = 0x5000

  let store: MemoryStore
  let memory: GuestMemory
  let bus = Bus()
  var driver: RingDriver

  init(_ store: MemoryStore, serial: String = "", refusing refused: UInt64 = 0) throws {
    self.store = store
    memory = try GuestMemory(size: 1 << 20)
    driver = RingDriver(memory: memory)
    var board = Board(
      buses: (ports: Bus(), memory: bus), clock: ManualClock(), timers: TimerQueue {},
      interrupts: NoLines(),
      host: .init(memorySize: MemorySize(low: 1 << 20, high: 0), ram: memory, power: { _ in }))
    let handle = try board.attach(BlockDevice(store, serial: serial), named: "disk")
    handle.connect { $0.connect(to: handle) }
    start(refusing: refused)
  }

  func read(_ offset: UInt64, _ width: AccessWidth = .double) -> UInt64 {
    bus.read(VirtioWindows.base + offset, width: width)
  }

  func write(_ value: UInt64, to offset: UInt64, _ width: AccessWidth = .double) {
    bus.write(value, to: VirtioWindows.base + offset, width: width)
  }

  func start(refusing refused: UInt64 = 0) {
    write(0, to: 0x70)
    write(3, to: 0x70)
    for word in 0..<2 as Range<UInt64> {
      write(word, to: 0x14)
      write(word, to: 0x24)
      write(read(0x10) & ~(refused >> (32 * word)) & 0xffff_ffff, to: 0x20)
    }
    write(0xb, to: 0x70)
    write(0, to: 0x30)
    write(UInt64(driver.size), to: 0x38)
    for (register, address) in [(0x80, 0x1000), (0x90, 0x2000), (0xa0, 0x3000)]
      as [(UInt64, UInt64)]
    {
      write(address, to: register)
      write(0, to: register + 4)
    }
    write(1, to: 0x44)
    write(0xf, to: 0x70)
  }

  /// Makes a request available that transfers `count` bytes at 0x8000.
  mutating func request(
    _ kind: UInt32, sector: UInt64 = 0, count: UInt32 = 0, isRead: Bool = false
  ) throws {
    try memory.store(kind, at: Self.header)
    try memory.store(UInt32(0), at: Self.header + 4)
    try memory.store(sector, at: Self.header + 8)
    try memory.store(UInt8(0xee), at: Self.status)
    try driver.describe(0, (Self.header, 16), flags: RingDriver.next, next: count > 0 ? 1 : 2)
    try driver.describe(
      1, (Self.data, count), flags: RingDriver.next | (isRead ? RingDriver.write : 0), next: 2)
    try driver.describe(2, (Self.status, 1), flags: RingDriver.write)
    try driver.offer(0)
    notify()
  }

  func notify() { write(0, to: 0x50) }

  /// Makes a request, has the store carry it out, and returns its status.
  mutating func perform(
    _ kind: UInt32, sector: UInt64 = 0, count: UInt32 = 0, isRead: Bool = false
  ) throws -> UInt8 {
    try request(kind, sector: sector, count: count, isRead: isRead)
    store.run()
    return try memory.load(UInt8.self, at: Self.status)
  }

  /// Makes a discard or a clearing of a range.
  mutating func clear(
    _ kind: UInt32, sector: UInt64, count: UInt32, flags: UInt32 = 0
  ) throws -> UInt8 {
    try memory.store(sector, at: Self.data)
    try memory.store(count, at: Self.data + 8)
    try memory.store(flags, at: Self.data + 12)
    return try perform(kind, count: 16)
  }

  var needsReset: Bool { read(0x70) & 0x40 != 0 }
}

private struct NoLines: InterruptLines {
  func line(_ number: Int) -> any InterruptLine { FakeLine() }
}
