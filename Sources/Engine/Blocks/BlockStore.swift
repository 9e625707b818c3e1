internal import Bits
internal import Host

/// The translated blocks, found by guest-physical address and mode, by page, and by host address.
///
/// Everything is in flat tables of fixed capacity; when one is full, or the code cache is, all
/// blocks are dropped together.
@safe
struct BlockStore {
  static let capacity = 400_000
  static let exitCapacity = 1_000_000
  static let sideCapacity = 8_000_000
  static let buckets = 1 << 16

  let cache: CodeCache
  private let blocks: UnsafeMutablePointer<Block>
  private let exits: UnsafeMutablePointer<BlockExit>
  let hash: UnsafeMutablePointer<Int32>
  /// Heads of the lists of blocks that have bytes of a page, by ``pageBucket(_:)``.
  let pages: UnsafeMutablePointer<Place>
  /// For each instruction of a block: bytes of host code, and where it is in the guest's.
  let side: UnsafeMutablePointer<SideEntry>
  private let counters: UnsafeMutablePointer<Counters>

  struct Counters: BitwiseCopyable {
    var blocks = 1
    var exits = 1
    var side = 0
    /// Where the next block goes, and its rare parts.
    var cursor: UInt32 = 0
    var coldCursor = CodeCache.coldStart
    var firstFree: UInt32 = 0
    /// Bytes of the code cache that may be used.
    var capacity = UInt32(CodeCache.size)
    var flushes = 0
    var translatedInstructions = 0
  }

  struct SideEntry: BitwiseCopyable {
    var hostBytes: UInt16
    /// From the block's start.
    var guestOffset: UInt16
  }

  /// Makes the tables in `memory`, which stays the caller's.
  init(cache: CodeCache, memory: borrowing Mapping) {
    self.cache = cache
    var cursor = unsafe memory.base
    func take<Element>(_ type: Element.Type, _ count: Int) -> UnsafeMutablePointer<Element> {
      let start = unsafe cursor
      unsafe cursor += (count * MemoryLayout<Element>.stride).rounded(upTo: 4096)
      return unsafe start.bindMemory(to: type, capacity: count)
    }
    unsafe counters = take(Counters.self, 1)
    unsafe blocks = take(Block.self, Self.capacity)
    unsafe exits = take(BlockExit.self, Self.exitCapacity)
    unsafe hash = take(Int32.self, Self.buckets)
    unsafe pages = take(Place.self, Self.buckets)
    unsafe side = take(SideEntry.self, Self.sideCapacity)
    unsafe counters.initialize(to: Counters())
  }

  /// Bytes of host memory that the tables may take; they take it as they fill.
  static let memorySize =
    capacity * MemoryLayout<Block>.stride + exitCapacity * MemoryLayout<BlockExit>.stride
    + 2 * buckets * 4 + sideCapacity * 4 + 65536

  var count: Counters {
    @inline(always) _read { yield unsafe counters.pointee }
    @inline(always) nonmutating _modify { yield unsafe &counters.pointee }
  }

  subscript(block index: Int32) -> Block {
    @inline(always) _read { yield unsafe blocks[Int(index)] }
    @inline(always) nonmutating _modify { yield unsafe &blocks[Int(index)] }
  }

  /// The place after another.
  subscript(after place: Place) -> Place {
    @inline(always) get {
      let block = unsafe blocks[Int(place.block)]
      return place.isSecond ? block.nextInSecondPage : block.nextInPage
    }
    nonmutating set {
      if place.isSecond {
        unsafe blocks[Int(place.block)].nextInSecondPage = newValue
      } else {
        unsafe blocks[Int(place.block)].nextInPage = newValue
      }
    }
  }

  subscript(exit index: Int32) -> BlockExit {
    @inline(always) _read { yield unsafe exits[Int(index)] }
    @inline(always) nonmutating _modify { yield unsafe &exits[Int(index)] }
  }

  @inline(always)
  static func bucket(_ physical: UInt64, _ mode: BlockMode) -> Int {
    let mixed = (physical ^ mode.rawValue << 24) &* 0x9e37_79b9_7f4a_7c15
    return Int(mixed >> 48)
  }

  @inline(always)
  static func pageBucket(_ page: UInt64) -> Int { Int(truncatingIfNeeded: page) & (buckets - 1) }

  func find(_ physical: UInt64, _ mode: BlockMode) -> Int32 {
    var index = unsafe hash[Self.bucket(physical, mode)]
    while index != 0 {
      let block = self[block: index]
      if block.physical == physical && block.mode == mode { return index }
      index = block.nextInHash
    }
    return 0
  }

  /// Enters a block, and returns its index.
  func insert(_ block: Block) -> Int32 {
    let index = Int32(count.blocks)
    count.blocks += 1
    var block = block
    let bucket = Self.bucket(block.physical, block.mode)
    block.nextInHash = unsafe hash[bucket]
    unsafe hash[bucket] = index
    self[block: index] = block
    enter(Place(index, isSecond: false), in: block.physical >> 12)
    if block.secondPage != 0 { enter(Place(index, isSecond: true), in: block.secondPage) }
    return index
  }

  private func enter(_ place: Place, in page: UInt64) {
    let bucket = Self.pageBucket(page)
    self[after: place] = unsafe pages[bucket]
    unsafe pages[bucket] = place
  }

  /// Bytes of the code cache that hold code.
  var usedBytes: Int { Int(count.cursor) + Int(count.coldCursor - CodeCache.coldStart) }

  var isFull: Bool {
    count.blocks + 1 >= Self.capacity || count.exits + 512 >= Self.exitCapacity
      || count.side + 512 >= Self.sideCapacity
      || count.cursor + 128 * 1024 >= CodeCache.coldStart
      || count.coldCursor + 128 * 1024 >= UInt32(CodeCache.size)
      || UInt32(usedBytes) + 128 * 1024 >= count.capacity
  }

  /// Drops every block. The caller must not return into translated code afterwards.
  func reset() {
    unsafe hash.update(repeating: 0, count: Self.buckets)
    unsafe pages.update(repeating: .none, count: Self.buckets)
    count.blocks = 1
    count.exits = 1
    count.side = 0
    count.cursor = count.firstFree
    count.coldCursor = CodeCache.coldStart
    count.flushes += 1
  }
}
