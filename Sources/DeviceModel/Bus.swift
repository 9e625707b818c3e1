import Synchronization

/// Why a device cannot be attached.
public enum AttachError: Error, Hashable {
  /// Part of `range` already belongs to the device named `owner`.
  case addressConflict(range: Range<UInt64>, owner: String)
  /// A device's option has a value that makes no sense: `problem` says why.
  case badOption(name: String, problem: String)
}

/// An address space of devices: the ports, or the memory that is not RAM.
///
/// Reads that nobody answers give ones in every bit; writes nobody takes are lost. An access that
/// runs over a device's end is split into bytes. Devices come and go while processors run.
public final class Bus: Sendable {
  struct Entry: Sendable {
    let first: UInt64
    let last: UInt64
    let name: String
    let slot: any BusSlot
  }

  /// The owner of a range, to be called after the table's lock is given back.
  struct Hit {
    let slot: any BusSlot
    let offset: UInt64
    /// How many bytes from the address on belong to the slot, less one.
    let lastOffset: UInt64
  }

  /// Sorted by address, never overlapping.
  private let table = Mutex<[Entry]>([])

  public init() {}

  /// Gives `range` to `slot`; `name` is for messages.
  public func attach(
    _ slot: some BusSlot, named name: String, at range: Range<UInt64>
  ) throws(AttachError) {
    precondition(!range.isEmpty, "a device takes at least one address")
    let entry = Entry(
      first: range.lowerBound, last: range.upperBound - 1, name: name, slot: slot)
    let owner = table.withLock { entries -> String? in
      let index = Self.position(of: entry.first, in: entries)
      if index > 0, entries[index - 1].last >= entry.first { return entries[index - 1].name }
      if index < entries.count, entries[index].first <= entry.last { return entries[index].name }
      entries.insert(entry, at: index)
      return nil
    }
    if let owner { throw .addressConflict(range: range, owner: owner) }
  }

  /// Takes away the device whose range begins at `first`; returns whether there was one.
  @discardableResult
  public func detach(at first: UInt64) -> Bool {
    table.withLock { entries in
      guard let index = entries.firstIndex(where: { $0.first == first }) else { return false }
      entries.remove(at: index)
      return true
    }
  }

  /// Every device's name and range, by address.
  public var map: [(name: String, range: ClosedRange<UInt64>)] {
    table.withLock { $0.map { ($0.name, $0.first...$0.last) } }
  }

  /// What `address` reads as.
  public func read(_ address: UInt64, width: AccessWidth) -> UInt64 {
    readOwned(address, width: width) ?? width.mask
  }

  /// What `address` reads as; `nil` when no device owns any of its bytes.
  public func readOwned(_ address: UInt64, width: AccessWidth) -> UInt64? {
    if let hit = find(address) {
      if hit.lastOffset - hit.offset >= UInt64(width.bytes - 1) {
        return hit.slot.read(hit.offset, width: width) & width.mask
      }
    } else if !reaches(address, width: width) {
      return nil
    }
    var value: UInt64 = 0
    for index in 0..<UInt64(width.bytes) {
      let hit = find(address &+ index)
      let byte = hit.map { $0.slot.read($0.offset, width: .byte) } ?? 0xff
      value |= (byte & 0xff) &<< (8 &* index)
    }
    return value
  }

  /// Writes `value`; returns whether a device owns any of the bytes.
  @discardableResult
  public func write(_ value: UInt64, to address: UInt64, width: AccessWidth) -> Bool {
    if let hit = find(address) {
      if hit.lastOffset - hit.offset >= UInt64(width.bytes - 1) {
        hit.slot.write(value & width.mask, to: hit.offset, width: width)
        return true
      }
    } else if !reaches(address, width: width) {
      return false
    }
    for index in 0..<UInt64(width.bytes) {
      guard let hit = find(address &+ index) else { continue }
      hit.slot.write((value &>> (8 &* index)) & 0xff, to: hit.offset, width: .byte)
    }
    return true
  }

  /// The device that owns `address`.
  private func find(_ address: UInt64) -> Hit? {
    table.withLock { entries in
      let index = Self.position(of: address, in: entries)
      if index < entries.count, entries[index].first == address {
        return Self.hit(entries[index], address)
      }
      guard index > 0, entries[index - 1].last >= address else { return nil }
      return Self.hit(entries[index - 1], address)
    }
  }

  private static func hit(_ entry: Entry, _ address: UInt64) -> Hit {
    Hit(
      slot: entry.slot, offset: address - entry.first, lastOffset: entry.last - entry.first)
  }

  /// Whether an access that begins outside any device ends in one.
  private func reaches(_ address: UInt64, width: AccessWidth) -> Bool {
    table.withLock { entries in
      let index = Self.position(of: address, in: entries)
      guard index < entries.count else { return false }
      return entries[index].first - address < UInt64(width.bytes)
    }
  }

  /// The index of the first entry that does not begin before `address`.
  private static func position(of address: UInt64, in entries: [Entry]) -> Int {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low &+ high) &>> 1
      if entries[middle].first < address { low = middle &+ 1 } else { high = middle }
    }
    return low
  }
}
