// A client program's device models write to guest memory without telling anybody. What they write
// over translated code is found when the guest's own caches would be filled: at the first fetch from
// a page after a change of mappings, and without paging after each return to the client.
extension Processor {
  /// Tells that a client program has had control, which may have written to any of the memory.
  func clientHadControl() {
    group.hasClient.store(true, ordering: .relaxed)
    if !cpu.cr0.contains(.paging) { forgetFetches() }
  }

  /// At the begin of a run.
  func expectForeignWrites() {
    if group.hasClient.load(ordering: .relaxed) && !cpu.cr0.contains(.paging) { forgetFetches() }
  }

  private func forgetFetches() {
    inside {
      fetchTLB.flush(keepingGlobal: false)
      jumpCache.flush(keepingGlobal: false)
      forgetReturns()
    }
  }

  /// Drops a page's blocks if one of them is not what memory has now.
  func compareCode(inPage physical: UInt64) {
    guard group.hasClient.load(ordering: .relaxed), let slot = slots.find(physical),
      PageState.names(number, slot.state(of: physical).value.translator)
    else { return }
    let page = physical & ~0xfff
    let isStale = translation.store.hasBlock(inPage: page >> 12) { block in
      currentFingerprint(of: block) != block.fingerprint
    }
    if isStale { forgetCode(in: page..<page + 4096) }
  }

  /// The fingerprint of what memory has where a block comes from; `nil` where there is no memory.
  private func currentFingerprint(of block: Block) -> UInt32? {
    let (length, offset) = (Int(block.length), Int(block.physical & 0xfff))
    guard let slot = slots.find(block.physical) else { return nil }
    let start = unsafe slot.pointer(to: block.physical).assumingMemoryBound(to: UInt8.self)
    guard block.secondPage != 0 else { return unsafe Block.fingerprint(start, length) }
    let second = block.secondPage << 12
    guard let next = slots.find(second) else { return nil }
    let first = 4096 - offset
    unsafe translation.copy.update(from: start, count: first)
    unsafe (translation.copy + first).update(
      from: next.pointer(to: second).assumingMemoryBound(to: UInt8.self), count: length - first)
    return unsafe Block.fingerprint(translation.copy, length)
  }
}

extension Block {
  /// A number that differs for different code, but for one case in four thousand million.
  static func fingerprint(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
    let factor: UInt64 = 0x9e37_79b9_7f4a_7c15
    var value = UInt64(truncatingIfNeeded: count) &* factor
    var index = 0
    while index + 8 <= count {
      let word = unsafe UnsafeRawPointer(bytes + index).loadUnaligned(as: UInt64.self)
      value = (value ^ word) &* factor
      value ^= value >> 32
      index += 8
    }
    while index < count {
      value = (value ^ UInt64(unsafe bytes[index])) &* factor
      value ^= value >> 32
      index += 1
    }
    return UInt32(truncatingIfNeeded: value)
  }
}
