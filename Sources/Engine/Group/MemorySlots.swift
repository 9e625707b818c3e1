import Glibc
package import Host

/// Memory of this process that guests find at a guest-physical address.
package struct PhysicalMemorySlot: Sendable, Equatable {
  /// Whose it is; two slots never have the same number.
  package var number: UInt32
  /// Page-aligned, like the size, which is not 0.
  package var guestAddress: UInt64
  package var size: UInt64
  package var hostAddress: UInt64
  package var isReadOnly: Bool
  package var isLogging: Bool
  /// Whether a log begins with all pages written.
  package var startsWritten = false

  package init(
    _ number: UInt32, guestAddress: UInt64, size: UInt64, hostAddress: UInt64,
    flags: (isReadOnly: Bool, isLogging: Bool)
  ) {
    (self.number, self.guestAddress, self.size) = (number, guestAddress, size)
    (self.hostAddress, isReadOnly, isLogging) = (hostAddress, flags.isReadOnly, flags.isLogging)
  }
}

/// A page that was written, of a slot that keeps a log.
public struct WrittenPage: BitwiseCopyable, Sendable {
  public var slot: UInt32
  /// From the slot's start.
  public var page: Int

  public init(slot: UInt32, page: Int) { (self.slot, self.page) = (slot, page) }
}

// Slots change while all processors stand still, at any time and from any thread but one inside a
// run. Reference: KVM API, KVM_SET_USER_MEMORY_REGION.
extension ProcessorGroup {
  private static func refusal(_ errno: Int32) -> SystemError {
    SystemError(call: "memory slot", errno: errno)
  }

  /// Adds a slot, moves it, or changes whether it keeps a log.
  ///
  /// EEXIST when another slot is in the way, EINVAL for any other change of a slot that is there.
  package func setSlot(_ slot: PhysicalMemorySlot) throws(SystemError) {
    try changeSlots { (known: inout [UInt32: PhysicalMemorySlot]) throws(SystemError) in
      let range = slot.guestAddress..<slot.guestAddress + slot.size
      guard let old = known[slot.number] else {
        if slots.overlaps(range, except: slot.number) { throw Self.refusal(EEXIST) }
        try add(slot)
        known[slot.number] = slot
        return
      }
      guard old.hostAddress == slot.hostAddress, old.size == slot.size,
        old.isReadOnly == slot.isReadOnly
      else { throw Self.refusal(EINVAL) }
      if old.guestAddress != slot.guestAddress {
        if slots.overlaps(range, except: slot.number) { throw Self.refusal(EEXIST) }
        remove(old)
        try add(slot)
      } else if old.isLogging != slot.isLogging {
        try slots.setLogging(
          at: slot.guestAddress, slot.isLogging, allWritten: slot.startsWritten)
      }
      known[slot.number] = slot
    }
  }

  /// Takes a slot away; EINVAL when there is none.
  package func removeSlot(_ number: UInt32) throws(SystemError) {
    try changeSlots { (known: inout [UInt32: PhysicalMemorySlot]) throws(SystemError) in
      guard let old = known.removeValue(forKey: number) else { throw Self.refusal(EINVAL) }
      remove(old)
    }
  }

  private func add(_ slot: PhysicalMemorySlot) throws(SystemError) {
    var entry = try PhysicalSlot(slot)
    try entry.setLogging(slot.isLogging, allWritten: slot.startsWritten)
    slots.insert(entry)
  }

  private func remove(_ slot: PhysicalMemorySlot) {
    guard let entry = slots.remove(at: slot.guestAddress) else { return }
    forEachOther(than: nil) { $0.forgetCode(in: entry.range) }
    entry.free()
  }

  /// Changes slots while every processor stands still, and has all forget what they found.
  private func changeSlots(
    _ body: (inout [UInt32: PhysicalMemorySlot]) throws(SystemError) -> Void
  ) throws(SystemError) {
    begin(nil)
    defer { end() }
    try body(&slotsByNumber)
    slotChanges.add(1, ordering: .relaxed)
    forEachOther(than: nil) { $0.flushCaches() }
  }

  package var slotCount: Int { whenFree { _ in slotsByNumber.count } }
  package var slotChangeCount: UInt64 { slotChanges.load(ordering: .relaxed) }

  // MARK: Logs

  /// The pages of a slot written since they were last forgotten, 64 a word; `nil` without a log.
  ///
  /// - Parameter forgetting: Whether to forget them, so that the next writes are noted again.
  package func writtenPages(ofSlot number: UInt32, forgetting: Bool) -> [UInt64]? {
    begin(nil)
    defer { end() }
    guard let slot = loggingSlot(number) else { return nil }
    let words = slot.writtenWords
    if forgetting && words.contains(where: { $0 != 0 }) { forget(words, of: slot, from: 0) }
    return words
  }

  /// Forgets that pages were written: those whose bits are set, from a page on, a multiple of 64.
  ///
  /// - Returns: Whether the slot keeps a log.
  package func forgetWrittenPages(
    ofSlot number: UInt32, _ words: [UInt64], from first: Int
  ) -> Bool {
    begin(nil)
    defer { end() }
    guard let slot = loggingSlot(number) else { return false }
    forget(words, of: slot, from: first)
    return true
  }

  /// Forgets that pages were written, of whatever slots still keep a log.
  package func forgetWritten(_ pages: [WrittenPage]) {
    begin(nil)
    defer { end() }
    for page in pages { loggingSlot(page.slot)?.forgetWritten(page: page.page) }
    forEachOther(than: nil) { $0.softTLB.flush(keepingGlobal: false) }
  }

  /// The pages of a slot; `nil` when there is none, or it keeps no log.
  package func loggedPageCount(ofSlot number: UInt32) -> Int? {
    begin(nil)
    defer { end() }
    return loggingSlot(number)?.pageCount
  }

  private func loggingSlot(_ number: UInt32) -> PhysicalSlot? {
    guard let known = slotsByNumber[number], known.isLogging else { return nil }
    return slots.find(known.guestAddress)
  }

  private func forget(_ words: [UInt64], of slot: PhysicalSlot, from first: Int) {
    slot.forgetWritten(words, from: first)
    forEachOther(than: nil) { $0.softTLB.flush(keepingGlobal: false) }
  }
}
