import Glibc

/// The page, or the two pages, that the bytes of a new block come from.
@safe
private struct CodeBytes {
  var slot: PhysicalSlot
  var physical: UInt64
  /// Bytes to translate in this page.
  var count: Int

  var host: UnsafePointer<UInt8> {
    unsafe UnsafePointer(slot.pointer(to: physical).assumingMemoryBound(to: UInt8.self))
  }

  /// From here on, writes to these bytes are noticed.
  func mark(_ count: Int) {
    slot.state(of: physical).change { state in
      state.pieces |= PageState.pieces(at: physical, count: count)
    }
  }
}

// Blocks are translated from a copy of their bytes. Another processor may write to them in the
// meantime, and finds nothing to forget; so once the block is entered and its pieces are marked,
// the bytes are compared.
extension Processor {
  /// Bytes of host code that the processor may keep.
  package var codeCapacity: Int {
    get { Int(translation.store.count.capacity) }
    set { translation.store.count.capacity = UInt32(min(max(newValue, 256 << 10), CodeCache.size)) }
  }

  /// Makes the block at a guest-physical address; `nil` where the caller must look again.
  func translateBlock(
    _ physical: UInt64, _ linear: UInt64, _ mode: BlockMode
  ) throws(GuestFault) -> Int32? {
    if translation.isFull { dropAllBlocks() }
    guard let slot = slots.find(physical) else {
      throw .unreachable
    }
    guard claimCode(slot, physical) else { return nil }
    let inPage = min(4096, mode.lastInPage + 1) - Int(physical & 0xfff)
    let bytes = CodeBytes(
      slot: slot, physical: physical, count: min(inPage, BlockTranslator.longest))
    unsafe translation.copy.update(from: bytes.host, count: bytes.count)
    let source = unsafe BlockSource(
      physical: physical, mode: mode, bytes: UnsafePointer(translation.copy),
      available: bytes.count, features: features)
    if let index = translate(source) {
      let length = Int(translation.store[block: index].length)
      bytes.mark(length)
      return keep(index, unsafe isSame(translation.copy, bytes.host, length))
    }
    // Longer than 15 bytes, or beyond the code segment's limit.
    guard inPage < 15, mode.lastInPage > 4095 else { throw .protection }
    return try translateStraddling(source, bytes, linear)
  }

  private func translate(_ source: BlockSource) -> Int32? {
    guard let profile else { return translation.translate(source) }
    return profile.translating(in: translation.store) { translation.translate(source) }
  }

  /// Translates an instruction that begins in one page and ends in the next, alone.
  private func translateStraddling(
    _ source: BlockSource, _ first: CodeBytes, _ linear: UInt64
  ) throws(GuestFault) -> Int32? {
    let next = try fetchPage((linear & ~0xfff) &+ 4096).physical
    guard let slot = slots.find(next) else { throw .unreachable }
    guard claimCode(slot, next) else { return nil }
    let second = CodeBytes(slot: slot, physical: next, count: 16)
    unsafe (translation.copy + first.count).update(from: second.host, count: second.count)
    var whole = source
    whole.available = min(
      first.count + second.count, source.mode.lastInPage + 1 - source.offset)
    whole.secondPage = next >> 12
    guard let index = translate(whole) else { throw .protection }
    first.mark(first.count)
    second.mark(second.count)
    let rest = unsafe translation.copy + first.count
    return keep(
      index,
      unsafe isSame(translation.copy, first.host, first.count)
        && isSame(rest, second.host, second.count))
  }

  /// Keeps a block that was made from the bytes that are there now.
  private func keep(_ index: Int32, _ isCurrent: Bool) -> Int32? {
    if isCurrent { return index }
    let physical = translation.store[block: index].physical
    _ = translation.store.invalidate(physical: physical, count: 1)
    return nil
  }

  private func isSame(
    _ copy: UnsafePointer<UInt8>, _ now: UnsafePointer<UInt8>, _ count: Int
  ) -> Bool {
    unsafe memcmp(copy, now, count) == 0
  }

  /// Forgets every translation, when a table or the code cache is full.
  func dropAllBlocks() {
    translation.store.forEachPage { page in
      slots.find(page << 12)?.state(of: page << 12).change { state in
        if state.translator == number { (state.translator, state.pieces) = (0, 0) }
      }
    }
    translation.reset()
    jumpCache.flush(keepingGlobal: false)
    forgetReturns()
  }
}
