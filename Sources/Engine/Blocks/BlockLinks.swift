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
    return dropBlocks(in: Self.pageBucket(physical >> 12), of: physical >> 12, overlapping: range)
  }

  /// Drops the blocks that have a byte of a range of many pages.
  func invalidate(_ range: Range<UInt64>) {
    for bucket in 0..<Self.buckets { _ = dropBlocks(in: bucket, of: .max, overlapping: range) }
  }

  /// Whether a block that has bytes of a page is as asked for.
  func hasBlock(inPage page: UInt64, where isWanted: (Block) -> Bool = { _ in true }) -> Bool {
    let range = page << 12..<(page + 1) << 12
    var place = unsafe pages[Self.pageBucket(page)]
    while place != .none {
      let block = self[block: place.block]
      if block.has(range) && isWanted(block) { return true }
      place = self[after: place]
    }
    return false
  }

  /// Names the page of every block ever made since the last reset; some of them often.
  func forEachPage(_ body: (UInt64) -> Void) {
    for index in 1..<Int32(count.blocks) {
      let block = self[block: index]
      body(block.physical >> 12)
      if block.secondPage != 0 { body(block.secondPage) }
    }
  }

  /// Drops those blocks of a bucket's list that overlap.
  private func dropBlocks(
    in bucket: Int, of page: UInt64, overlapping range: Range<UInt64>
  ) -> (dropped: Bool, remains: Bool) {
    var result = (dropped: false, remains: false)
    var place = unsafe pages[bucket]
    while place != .none {
      let block = self[block: place.block]
      // A block is here twice if both its pages are in the bucket: what is unlinked still says what
      // came after it.
      let next = self[after: place]
      if block.has(range) {
        result.dropped = true
        drop(place.block)
      } else if block.physical >> 12 == page || block.secondPage == page {
        result.remains = true
      }
      place = next
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
    unlink(Place(index, isSecond: false), from: self[block: index].physical >> 12)
    let second = self[block: index].secondPage
    if second != 0 { unlink(Place(index, isSecond: true), from: second) }
  }

  /// Takes a place out of the list of its page, if it is there.
  private func unlink(_ place: Place, from page: UInt64) {
    let bucket = Self.pageBucket(page)
    var previous = Place.none
    var current = unsafe pages[bucket]
    while current != .none && current != place {
      previous = current
      current = self[after: current]
    }
    guard current == place else { return }
    if previous == .none {
      unsafe pages[bucket] = self[after: place]
    } else {
      self[after: previous] = self[after: place]
    }
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
