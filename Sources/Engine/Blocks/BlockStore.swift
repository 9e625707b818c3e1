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
  private static let buckets = 1 << 16

  let cache: CodeCache
  private let blocks: UnsafeMutablePointer<Block>
  private let exits: UnsafeMutablePointer<BlockExit>
  private let hash: UnsafeMutablePointer<Int32>
  private let pages: UnsafeMutablePointer<Int32>
  /// One bit for each 4 KiB of the guest-physical space: whether blocks start in that page.
  private let codePages: UnsafeMutablePointer<UInt8>
  /// Pairs of (bytes of host code, bytes of guest code) for each instruction of a block.
  let side: UnsafeMutablePointer<SideEntry>
  private let counters: UnsafeMutablePointer<Counters>
  private let codePageLimit: UInt64

  struct Counters: BitwiseCopyable {
    var blocks = 1
    var exits = 1
    var side = 0
    var cursor: UInt32 = 0
    var firstFree: UInt32 = 0
    var flushes = 0
    var translatedInstructions = 0
  }

  struct SideEntry: BitwiseCopyable {
    var hostBytes: UInt16
    var guestBytes: UInt8
  }

  /// Makes the tables in `memory`, which stays the caller's.
  init(cache: CodeCache, physicalLimit: UInt64, memory: borrowing Mapping) {
    self.cache = cache
    codePageLimit = physicalLimit >> 12
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
    unsafe pages = take(Int32.self, Self.buckets)
    unsafe side = take(SideEntry.self, Self.sideCapacity)
    unsafe codePages = take(UInt8.self, Int(codePageLimit / 8) + 1)
    unsafe counters.initialize(to: Counters())
  }

  /// Bytes of host memory that the tables may take; they take it as they fill.
  static func memorySize(physicalLimit: UInt64) -> Int {
    capacity * MemoryLayout<Block>.stride + exitCapacity * MemoryLayout<BlockExit>.stride
      + 2 * buckets * 4 + sideCapacity * 4 + Int(physicalLimit >> 15) + 65536
  }

  var count: Counters {
    @inline(always) _read { yield unsafe counters.pointee }
    @inline(always) nonmutating _modify { yield unsafe &counters.pointee }
  }

  subscript(block index: Int32) -> Block {
    @inline(always) _read { yield unsafe blocks[Int(index)] }
    @inline(always) nonmutating _modify { yield unsafe &blocks[Int(index)] }
  }

  subscript(exit index: Int32) -> BlockExit {
    @inline(always) _read { yield unsafe exits[Int(index)] }
    @inline(always) nonmutating _modify { yield unsafe &exits[Int(index)] }
  }

  @inline(always)
  private static func bucket(_ physical: UInt64, _ mode: BlockMode) -> Int {
    let mixed = (physical ^ UInt64(mode.rawValue) << 24) &* 0x9e37_79b9_7f4a_7c15
    return Int(mixed >> 48)
  }

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
    let page = Int(block.physical >> 12) & (Self.buckets - 1)
    block.nextInHash = unsafe hash[bucket]
    block.nextInPage = unsafe pages[page]
    self[block: index] = block
    unsafe hash[bucket] = index
    unsafe pages[page] = index
    markCode(block.physical)
    let last = block.physical + UInt64(block.length) - 1
    if last >> 12 != block.physical >> 12 { markCode(last) }
    return index
  }

  func hasCode(_ physical: UInt64) -> Bool {
    let page = physical >> 12
    guard page < codePageLimit else { return false }
    return unsafe codePages[Int(page >> 3)] & (1 << (page & 7)) != 0
  }

  private func markCode(_ physical: UInt64) {
    let page = physical >> 12
    if page < codePageLimit { unsafe codePages[Int(page >> 3)] |= 1 << (page & 7) }
  }

  private func unmarkCode(_ physical: UInt64) {
    let page = physical >> 12
    if page < codePageLimit { unsafe codePages[Int(page >> 3)] &= ~(1 << (page & 7)) }
  }

  var isFull: Bool {
    count.blocks + 1 >= Self.capacity || count.exits + 512 >= Self.exitCapacity
      || count.side + 512 >= Self.sideCapacity
      || count.cursor + 128 * 1024 >= UInt32(CodeCache.size)
  }

  /// Drops every block. The caller must not return into translated code afterwards.
  func reset() {
    unsafe hash.update(repeating: 0, count: Self.buckets)
    unsafe pages.update(repeating: 0, count: Self.buckets)
    unsafe codePages.update(repeating: 0, count: Int(codePageLimit / 8) + 1)
    count.blocks = 1
    count.exits = 1
    count.side = 0
    count.cursor = count.firstFree
    count.flushes += 1
  }
}

extension BlockStore {
  /// Makes the exit jump straight to `block`.
  func link(_ exit: Int32, to block: Int32) {
    patch(exit, to: self[block: block].entry)
    self[exit: exit].linked = block
    self[exit: exit].nextIncoming = self[block: block].incoming
    self[block: block].incoming = exit
  }

  private func patch(_ exit: Int32, to target: UInt32) {
    let site = self[exit: exit].patch
    let displacement = Int32(bitPattern: target &- (site &+ 4))
    unsafe UnsafeMutableRawPointer(cache.write(at: site))
      .storeBytes(of: displacement, as: Int32.self)
  }

  /// Drops the blocks of the page at `physical` that have a byte in the range.
  ///
  /// - Returns: Whether any was dropped.
  func invalidate(physical: UInt64, count: Int) -> Bool {
    var any = false
    let range = physical..<physical + UInt64(max(count, 1))
    // A block that starts in the page before may reach into this one.
    for page in [physical >> 12, (physical >> 12) &- 1] {
      if dropBlocks(in: page, overlapping: range) { any = true }
    }
    return any
  }

  private func dropBlocks(in page: UInt64, overlapping range: Range<UInt64>) -> Bool {
    var any = false
    var remaining = false
    let bucket = Int(truncatingIfNeeded: page) & (Self.buckets - 1)
    var previous: Int32 = 0
    var index = unsafe pages[bucket]
    while index != 0 {
      let block = self[block: index]
      let next = block.nextInPage
      let isHere = block.physical >> 12 == page
      if isHere && range.overlaps(block.physical..<block.physical + UInt64(block.length)) {
        any = true
        drop(index)
        if previous == 0 {
          unsafe pages[bucket] = next
        } else {
          self[block: previous].nextInPage = next
        }
      } else {
        if isHere { remaining = true }
        previous = index
      }
      index = next
    }
    if any && !remaining && !hasBlockReaching(into: page) { unmarkCode(page << 12) }
    return any
  }

  /// Whether a block of the page before ends in `page`.
  private func hasBlockReaching(into page: UInt64) -> Bool {
    guard page > 0 else { return false }
    var index = unsafe pages[Int(truncatingIfNeeded: page - 1) & (Self.buckets - 1)]
    while index != 0 {
      let block = self[block: index]
      let last = block.physical + UInt64(block.length) - 1
      if block.physical >> 12 == page - 1 && last >> 12 == page { return true }
      index = block.nextInPage
    }
    return false
  }

  /// Unhooks a block: nothing will enter it again, though a processor may still be inside.
  private func drop(_ index: Int32) {
    var exit = self[block: index].incoming
    while exit != 0 {
      patch(exit, to: self[exit: exit].stub)
      self[exit: exit].linked = 0
      exit = self[exit: exit].nextIncoming
    }
    self[block: index].incoming = 0
    self[block: index].isValid = false
    let bucket = Self.bucket(self[block: index].physical, self[block: index].mode)
    if unsafe hash[bucket] == index {
      unsafe hash[bucket] = self[block: index].nextInHash
      return
    }
    var previous = unsafe hash[bucket]
    while previous != 0 {
      let next = self[block: previous].nextInHash
      if next == index {
        self[block: previous].nextInHash = self[block: index].nextInHash
        return
      }
      previous = next
    }
  }
}
