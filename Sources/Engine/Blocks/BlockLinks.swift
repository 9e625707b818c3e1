extension BlockStore {
  /// Makes the exit jump straight to `block`.
  func link(_ exit: Int32, to block: Int32) {
    cache.aim(self[exit: exit].patch, at: self[block: block].entry)
    self[exit: exit].linked = block
    self[exit: exit].nextIncoming = self[block: block].incoming
    self[block: block].incoming = exit
  }

  /// Drops the blocks that have a byte of the range, which lies in one page.
  ///
  /// - Returns: Whether any was dropped, and whether other blocks of the page remain.
  func invalidate(physical: UInt64, count size: Int) -> (dropped: Bool, remains: Bool) {
    let range = physical..<physical + UInt64(max(size, 1))
    let page = physical >> 12
    var pageList = unsafe pages[Self.pageBucket(page)]
    let whole = dropBlocks(in: &pageList, of: page, overlapping: range)
    unsafe pages[Self.pageBucket(page)] = pageList
    var straddling = count.straddling
    let split = dropBlocks(in: &straddling, of: page, overlapping: range)
    count.straddling = straddling
    return (whole.dropped || split.dropped, whole.remains || split.remains)
  }

  /// Drops the blocks that have a byte of a range of many pages.
  func invalidate(_ range: Range<UInt64>) {
    for bucket in 0..<Self.buckets where unsafe pages[bucket] != 0 {
      var list = unsafe pages[bucket]
      _ = dropBlocks(in: &list, of: .max, overlapping: range)
      unsafe pages[bucket] = list
    }
    var straddling = count.straddling
    _ = dropBlocks(in: &straddling, of: .max, overlapping: range)
    count.straddling = straddling
  }

  /// Whether a block that has bytes of a page is as asked for.
  func hasBlock(inPage page: UInt64, where isWanted: (Block) -> Bool = { _ in true }) -> Bool {
    let range = page << 12..<(page + 1) << 12
    func has(_ list: Int32) -> Bool {
      var index = list
      while index != 0 {
        let block = self[block: index]
        if block.has(range) && isWanted(block) { return true }
        index = self[block: index].nextInPage
      }
      return false
    }
    return unsafe has(pages[Self.pageBucket(page)]) || has(count.straddling)
  }

  /// Names the page of every block ever made since the last reset; some of them often.
  func forEachPage(_ body: (UInt64) -> Void) {
    for index in 1..<Int32(count.blocks) {
      let block = self[block: index]
      body(block.physical >> 12)
      if block.secondPage != 0 { body(block.secondPage) }
    }
  }

  /// Unlinks from a list what overlaps.
  private func dropBlocks(
    in list: inout Int32, of page: UInt64, overlapping range: Range<UInt64>
  ) -> (dropped: Bool, remains: Bool) {
    var result = (dropped: false, remains: false)
    var previous: Int32 = 0
    var index = list
    while index != 0 {
      let block = self[block: index]
      let next = block.nextInPage
      if block.has(range) {
        result.dropped = true
        drop(index)
        if previous == 0 { list = next } else { self[block: previous].nextInPage = next }
      } else {
        if block.physical >> 12 == page || block.secondPage == page { result.remains = true }
        previous = index
      }
      index = next
    }
    return result
  }

  /// Unhooks a block: nothing will enter it again, though a processor may still be inside.
  private func drop(_ index: Int32) {
    var exit = self[block: index].incoming
    while exit != 0 {
      cache.aim(self[exit: exit].patch, at: self[exit: exit].stub)
      self[exit: exit].linked = 0
      exit = self[exit: exit].nextIncoming
    }
    self[block: index].incoming = 0
    unhash(index)
  }

  private func unhash(_ index: Int32) {
    let bucket = Self.bucket(self[block: index].physical, self[block: index].mode)
    var previous: Int32 = 0
    var current = unsafe hash[bucket]
    while current != 0 && current != index {
      previous = current
      current = self[block: current].nextInHash
    }
    guard current == index else { return }
    let next = self[block: index].nextInHash
    if previous == 0 {
      unsafe hash[bucket] = next
    } else {
      self[block: previous].nextInHash = next
    }
  }
}

extension Block {
  /// Whether one of the block's bytes is in the range.
  func has(_ range: Range<UInt64>) -> Bool {
    let end = physical + UInt64(length)
    guard secondPage != 0 else { return range.overlaps(physical..<end) }
    let boundary = (physical | 0xfff) + 1
    let second = secondPage << 12
    return range.overlaps(physical..<boundary)
      || range.overlaps(second..<second + (end - boundary))
  }
}
