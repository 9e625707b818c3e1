/// The soft TLBs of one processor, one for each ``MemoryView``.
///
/// An entry is four words in parallel arrays: the negated page address a read may use, the same
/// for writes, what to add to a linear address of that page to reach it in this process, and where
/// the page is in this process.
/// Emitted code adds the tag to the address: a hit leaves the offset in the page, below 4096, so
/// one comparison checks both the page and that the access ends in it. A tag of zero can only
/// match page 0, whose entry therefore gets an impossible tag when it is empty.
@safe
struct SoftTLB {
  private let base: UnsafeMutableRawPointer
  /// Linear ranges in which parts of large pages were filled, for the lower and the upper half.
  /// Negated tag that no canonical address matches.
  private static let impossible: UInt64 = 1 << 62

  /// Which entries have been filled, so that flushing costs what there is to forget. Those of
  /// global pages have a list of their own, which changes of the address space leave alone.
  private struct Log {
    var count = 0
    var globalCount = 0
    var lowLarge: Range<UInt64> = 0..<0
    var highLarge: Range<UInt64> = 0..<0
  }

  init(base: UnsafeMutableRawPointer) {
    unsafe self.base = unsafe base
    for view in MemoryView.allCases {
      log(view) { $0 = Log() }
      clear(view, 0)
      clear(view, 0xffff)
    }
  }

  private func words(_ offset: Int) -> UnsafeMutablePointer<UInt64> {
    unsafe (base + offset).assumingMemoryBound(to: UInt64.self)
  }

  private func logEntries(
    _ view: MemoryView, global: Bool
  ) -> UnsafeMutablePointer<UInt32> {
    unsafe (base + StateLayout.logs + StateLayout.logStride * Int(view.rawValue)
      + (global ? StateLayout.globalLog : 64))
      .assumingMemoryBound(to: UInt32.self)
  }

  @inline(always)
  private func log<Result>(_ view: MemoryView, _ body: (inout Log) -> Result) -> Result {
    let pointer = unsafe (base + StateLayout.logs + StateLayout.logStride * Int(view.rawValue))
      .assumingMemoryBound(to: Log.self)
    return unsafe body(&pointer.pointee)
  }

  private func clear(_ view: MemoryView, _ index: Int) {
    // An operand that wraps at the top of the address space ends in page 0, too.
    let tag = index == 0 || index == 0xffff ? Self.impossible : 0
    unsafe words(StateLayout.readTags(view))[index] = tag
    unsafe words(StateLayout.writeTags(view))[index] = tag
    unsafe words(StateLayout.addends(view))[index] = 0
  }

  @inline(always)
  static func index(_ linear: UInt64) -> Int { Int(truncatingIfNeeded: linear >> 12) & 0xffff }

  /// The host address of `linear`, if the view's entry allows the access there.
  @inline(always)
  func lookup(_ view: MemoryView, _ linear: UInt64, write: Bool) -> UnsafeMutableRawPointer? {
    let index = Self.index(linear)
    let tags = write ? StateLayout.writeTags(view) : StateLayout.readTags(view)
    guard unsafe words(tags)[index] &+ linear < 4096 else { return nil }
    let host = unsafe words(StateLayout.addends(view))[index] &+ linear
    return unsafe UnsafeMutableRawPointer(bitPattern: UInt(host))
  }

  /// Enters the page of `linear`, which is at `host` in this process.
  func fill(
    _ view: MemoryView, _ linear: UInt64, host: UnsafeMutableRawPointer, _ page: PageProperties
  ) {
    let address = linear & ~0xfff
    let index = Self.index(linear)
    let previous = unsafe words(StateLayout.readTags(view))[index]
    // A page that is not global may replace one recorded as global: record it again.
    if previous == 0 || previous == Self.impossible || !page.isGlobal {
      record(view, index, page)
    }
    if page.isLarge { noteLargePage(view, address) }
    let hostPage = UInt64(UInt(bitPattern: host)) & ~0xfff
    unsafe words(StateLayout.readTags(view))[index] = 0 &- address
    unsafe words(StateLayout.writeTags(view))[index] =
      page.isWritable ? 0 &- address : Self.impossible
    unsafe words(StateLayout.addends(view))[index] = hostPage &- address
    unsafe words(StateLayout.hostPages(view))[index] = hostPage
  }

  private func record(_ view: MemoryView, _ index: Int, _ page: PageProperties) {
    let count = log(view) { page.isGlobal ? $0.globalCount : $0.count }
    if count == StateLayout.logCapacity {
      flush(view, keepingGlobal: !page.isGlobal)
      return record(view, index, page)
    }
    unsafe logEntries(view, global: page.isGlobal)[count] = UInt32(index)
    log(view) { log in
      if page.isGlobal { log.globalCount += 1 } else { log.count += 1 }
    }
  }

  /// Remembers that `address` is in a large page, so that invalidating any part drops it all.
  func noteLargePage(_ view: MemoryView, _ address: UInt64) {
    log(view) { log in
      let page = address..<(address &+ 4096 > address ? address &+ 4096 : .max)
      if address >> 63 != 0 {
        log.highLarge = Self.union(log.highLarge, page)
      } else {
        log.lowLarge = Self.union(log.lowLarge, page)
      }
    }
  }

  private static func union(_ a: Range<UInt64>, _ b: Range<UInt64>) -> Range<UInt64> {
    if a.isEmpty { return b }
    return min(a.lowerBound, b.lowerBound)..<max(a.upperBound, b.upperBound)
  }

  func flush(_ view: MemoryView, keepingGlobal: Bool) {
    forEachLogged(view, global: false) { clear(view, $0) }
    log(view) { $0.count = 0 }
    guard !keepingGlobal else { return }
    forEachLogged(view, global: true) { clear(view, $0) }
    log(view) { log in
      log.globalCount = 0
      (log.lowLarge, log.highLarge) = (0..<0, 0..<0)
    }
  }

  @inline(always)
  private func forEachLogged(_ view: MemoryView, global: Bool, _ body: (Int) -> Void) {
    let count = log(view) { global ? $0.globalCount : $0.count }
    let entries = unsafe logEntries(view, global: global)
    for position in 0..<count { body(Int(unsafe entries[position])) }
  }

  func flush(keepingGlobal: Bool) {
    for view in MemoryView.allCases { flush(view, keepingGlobal: keepingGlobal) }
  }

  /// Forgets the page of `linear`; everything when it may be part of a large page.
  ///
  /// - Returns: Whether it was everything.
  func flush(pageOf linear: UInt64) -> Bool {
    var isWhole = false
    for view in MemoryView.allCases {
      let inLarge = log(view) { log in
        log.lowLarge.contains(linear) || log.highLarge.contains(linear)
      }
      if inLarge {
        flush(view, keepingGlobal: false)
        isWhole = true
        continue
      }
      let index = Self.index(linear)
      if unsafe words(StateLayout.readTags(view))[index] &+ linear < 4096 {
        // The record stays in the log; filling again would add a second one, which is harmless.
        clear(view, index)
      }
    }
    return isWhole
  }

  /// Withdraws write permission from every entry of the host page at `host`.
  func protect(hostPage host: UInt64) {
    for view in MemoryView.allCases {
      for isGlobal in [false, true] {
        forEachLogged(view, global: isGlobal) { index in
          let tag = unsafe words(StateLayout.writeTags(view))[index]
          let addend = unsafe words(StateLayout.addends(view))[index]
          if addend &- tag == host {
            unsafe words(StateLayout.writeTags(view))[index] = Self.impossible
          }
        }
      }
    }
  }
}

/// What the page tables say of a page, as far as the soft TLB cares.
struct PageProperties: BitwiseCopyable {
  /// Writes may go straight to the page: permitted, dirty already, no translated code in it.
  var isWritable: Bool
  var isGlobal: Bool
  /// Part of a page larger than 4 KiB.
  var isLarge: Bool
}
