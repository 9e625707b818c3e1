import Glibc
internal import Host
import Synchronization

/// A range of guest-physical memory as processors see it.
@safe
struct PhysicalSlot {
  let number: UInt32
  /// Guest-physical, page-aligned at both ends.
  var range: Range<UInt64>
  /// Where its first byte is in this process.
  let host: UnsafeMutableRawPointer
  let isReadOnly: Bool
  /// A word for each page, see ``PageState``.
  private let states: UnsafeMutablePointer<Atomic<UInt64>>
  /// A bit for each page that was written since somebody asked, where a log is kept.
  private(set) var written: UnsafeMutablePointer<Atomic<UInt64>>?

  init(_ memory: PhysicalMemorySlot) throws(SystemError) {
    let start = memory.guestAddress
    (number, range) = (memory.number, start..<start + memory.size)
    guard let address = unsafe UnsafeMutableRawPointer(bitPattern: UInt(memory.hostAddress)) else {
      throw SystemError(call: "memory slot", errno: EINVAL)
    }
    unsafe host = address
    isReadOnly = memory.isReadOnly
    unsafe states = try Self.words(Int(memory.size >> 12))
    unsafe written = nil
  }

  /// Zeros that take host memory as they are used.
  private static func words(_ count: Int) throws(SystemError) -> UnsafeMutablePointer<
    Atomic<UInt64>
  > {
    guard let words = unsafe calloc(count, 8) else {
      throw SystemError(call: "calloc", errno: ENOMEM)
    }
    return unsafe words.bindMemory(to: Atomic<UInt64>.self, capacity: count)
  }

  /// Gives back what the slot keeps of its pages; it must not be used any more.
  func free() {
    unsafe Glibc.free(states)
    unsafe Glibc.free(written)
  }

  var pageCount: Int { Int((range.upperBound - range.lowerBound) >> 12) }

  /// Where a byte of the slot is in this process.
  @inline(always)
  func pointer(to physical: UInt64) -> UnsafeMutableRawPointer {
    unsafe host + Int(physical &- range.lowerBound)
  }

  @inline(always)
  func state(of physical: UInt64) -> SharedPageState {
    unsafe SharedPageState(states + Int((physical &- range.lowerBound) >> 12))
  }
}

// The log of written pages.
extension PhysicalSlot {
  var isLogging: Bool { unsafe written != nil }

  /// Begins or ends the log.
  mutating func setLogging(_ isLogging: Bool, allWritten: Bool) throws(SystemError) {
    if !isLogging {
      unsafe Glibc.free(written)
      unsafe written = nil
    } else if unsafe written == nil {
      unsafe written = try Self.words((pageCount + 63) / 64)
      if allWritten { for index in 0..<pageCount { _ = markWritten(page: index) } }
    }
  }

  @inline(always)
  private func markWritten(page: Int) -> Bool {
    guard let written = unsafe written else { return false }
    let bit: UInt64 = 1 << UInt64(page & 63)
    let word = unsafe written + page >> 6
    if unsafe word.pointee.load(ordering: .relaxed) & bit != 0 { return false }
    return unsafe word.pointee.bitwiseOr(bit, ordering: .relaxed).oldValue & bit == 0
  }

  /// Notes a write to the page of an address; before the write.
  ///
  /// - Returns: The page, where it is the first write since somebody asked.
  @inline(always)
  func markWritten(_ physical: UInt64) -> WrittenPage? {
    guard unsafe written != nil else { return nil }
    let page = Int((physical &- range.lowerBound) >> 12)
    return markWritten(page: page) ? WrittenPage(slot: number, page: page) : nil
  }

  /// Whether another write to the page of an address needs no note.
  @inline(always)
  func isWritten(_ physical: UInt64) -> Bool {
    guard let written = unsafe written else { return true }
    let page = Int((physical &- range.lowerBound) >> 12)
    return unsafe written[page >> 6].load(ordering: .relaxed) >> UInt64(page & 63) & 1 != 0
  }

  /// The log's words; none without a log.
  var writtenWords: [UInt64] {
    guard let written = unsafe written else { return [] }
    return (0..<(pageCount + 63) / 64).map { unsafe written[$0].load(ordering: .relaxed) }
  }

  /// Forgets one page, if the slot has it.
  func forgetWritten(page: Int) {
    guard let written = unsafe written, page < pageCount else { return }
    unsafe written[page >> 6].bitwiseAnd(~(1 << UInt64(page & 63)), ordering: .relaxed)
  }

  /// Forgets the pages whose bits are set, `words` from page `first` on, a multiple of 64.
  func forgetWritten(_ words: [UInt64], from first: Int) {
    guard let written = unsafe written else { return }
    for (index, word) in words.enumerated() where first / 64 + index < (pageCount + 63) / 64 {
      unsafe written[first / 64 + index].bitwiseAnd(~word, ordering: .relaxed)
    }
  }
}

/// The slots of a machine in ascending order. They change only while no processor relies on them.
@safe
final class PhysicalSlots: @unchecked Sendable {
  @safe private struct Table {
    var slots: UnsafeMutablePointer<PhysicalSlot>
    var count = 0
    var capacity = 16
  }

  // Behind a pointer, as this is read at every miss of a soft TLB.
  private let table: UnsafeMutablePointer<Table>

  init() {
    unsafe table = .allocate(capacity: 1)
    unsafe table.initialize(to: Table(slots: .allocate(capacity: 16)))
  }

  deinit {
    for index in 0..<count { self[index].free() }
    unsafe table.pointee.slots.deallocate()
    unsafe table.deallocate()
  }

  private var count: Int { unsafe table.pointee.count }

  private subscript(index: Int) -> PhysicalSlot {
    @inline(always) _read { yield unsafe table.pointee.slots[index] }
    @inline(always) _modify { yield unsafe &table.pointee.slots[index] }
  }

  /// The index of the first slot that ends above an address.
  @inline(always)
  private func index(above physical: UInt64) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle].range.upperBound <= physical { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The slot with a guest-physical address, if there is one.
  @inline(always)
  func find(_ physical: UInt64) -> PhysicalSlot? {
    let index = index(above: physical)
    guard index < count, self[index].range.lowerBound <= physical else { return nil }
    return self[index]
  }

  /// The guest-physical address of a byte that a slot has at an address of this process.
  func physical(ofHost address: UInt64) -> UInt64? {
    for index in 0..<count {
      let start = unsafe UInt64(UInt(bitPattern: self[index].host))
      let range = self[index].range
      if address >= start && address - start < range.upperBound - range.lowerBound {
        return range.lowerBound + (address - start)
      }
    }
    return nil
  }

  /// Whether a slot but `number` has an address of the range.
  func overlaps(_ range: Range<UInt64>, except number: UInt32) -> Bool {
    var index = index(above: range.lowerBound)
    while index < count, self[index].range.lowerBound < range.upperBound {
      if self[index].number != number { return true }
      index += 1
    }
    return false
  }

  func insert(_ slot: PhysicalSlot) {
    if unsafe count == table.pointee.capacity { grow() }
    let index = index(above: slot.range.lowerBound)
    let place = unsafe table.pointee.slots + index
    unsafe (place + 1).moveInitialize(from: place, count: count - index)
    unsafe place.initialize(to: slot)
    unsafe table.pointee.count += 1
  }

  /// Takes the slot that begins at an address out, and returns it.
  func remove(at address: UInt64) -> PhysicalSlot? {
    let index = index(above: address)
    guard index < count, self[index].range.lowerBound == address else { return nil }
    let place = unsafe table.pointee.slots + index
    let slot = unsafe place.move()
    unsafe place.moveInitialize(from: place + 1, count: count - index - 1)
    unsafe table.pointee.count -= 1
    return slot
  }

  /// Begins or ends the log of the slot that has an address.
  func setLogging(
    at address: UInt64, _ isLogging: Bool, allWritten: Bool
  ) throws(SystemError) {
    let index = index(above: address)
    if index < count { try self[index].setLogging(isLogging, allWritten: allWritten) }
  }

  private func grow() {
    unsafe table.pointee.capacity *= 2
    let larger = unsafe UnsafeMutablePointer<PhysicalSlot>.allocate(
      capacity: table.pointee.capacity)
    unsafe larger.moveInitialize(from: table.pointee.slots, count: count)
    unsafe table.pointee.slots.deallocate()
    unsafe table.pointee.slots = unsafe larger
  }
}
