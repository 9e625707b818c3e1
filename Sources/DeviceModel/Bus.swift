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
    let target: Target
  }

  /// A device and its range. The two functions are made where the device's type is known, so
  /// that nothing generic is left on the way to it.
  final class Target: Sendable {
    let first: UInt64
    let last: UInt64
    let name: String
    let read: @Sendable (UInt64, AccessWidth) -> UInt64
    let write: @Sendable (UInt64, UInt64, AccessWidth) -> Void

    init(
      range: Range<UInt64>, name: String,
      read: @escaping @Sendable (UInt64, AccessWidth) -> UInt64,
      write: @escaping @Sendable (UInt64, UInt64, AccessWidth) -> Void
    ) {
      (first, last, self.name) = (range.lowerBound, range.upperBound - 1, name)
      (self.read, self.write) = (read, write)
    }

    /// Whether an access at `address`, which lies in the range, ends in it too.
    func holds(_ address: UInt64, width: AccessWidth) -> Bool {
      last - address >= UInt64(width.bytes - 1)
    }
  }

  /// Sorted by address, never overlapping.
  private let table = Mutex<[Entry]>([])

  public init() {}

  /// Gives `range` to `slot`; `name` is for messages.
  @inlinable
  public func attach(
    _ slot: some BusSlot, named name: String, at range: Range<UInt64>
  ) throws(AttachError) {
    try attach(
      named: name, at: range,
      read: { slot.read($0, width: $1) },
      write: { slot.write($0, to: $1, width: $2) })
  }

  /// Gives `range` to two functions: offset and width to value; value, offset and width.
  public func attach(
    named name: String, at range: Range<UInt64>,
    read: @escaping @Sendable (UInt64, AccessWidth) -> UInt64,
    write: @escaping @Sendable (UInt64, UInt64, AccessWidth) -> Void
  ) throws(AttachError) {
    precondition(!range.isEmpty, "a device takes at least one address")
    let target = Target(range: range, name: name, read: read, write: write)
    let owner = table.withLock { entries -> String? in
      let index = Self.position(of: target.first, in: entries)
      if index > 0, entries[index - 1].target.last >= target.first {
        return entries[index - 1].target.name
      }
      if index < entries.count, entries[index].first <= target.last {
        return entries[index].target.name
      }
      entries.insert(Entry(first: target.first, target: target), at: index)
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
    table.withLock { $0.map { ($0.target.name, $0.first...$0.target.last) } }
  }

  /// What `address` reads as.
  public func read(_ address: UInt64, width: AccessWidth) -> UInt64 {
    readOwned(address, width: width) ?? width.mask
  }

  /// Whether a device owns one of `size` bytes.
  public func owns(_ address: UInt64, size: Int) -> Bool {
    (0..<UInt64(size)).contains { find(address &+ $0) != nil }
  }

  /// What `address` reads as; `nil` when no device owns any of its bytes.
  public func readOwned(_ address: UInt64, width: AccessWidth) -> UInt64? {
    if let target = find(address) {
      if target.holds(address, width: width) {
        return target.read(address - target.first, width) & width.mask
      }
    } else if !reaches(address, width: width) {
      return nil
    }
    var value: UInt64 = 0
    for index in 0..<UInt64(width.bytes) {
      let byte = find(address &+ index).map { $0.read(address &+ index - $0.first, .byte) } ?? 0xff
      value |= (byte & 0xff) &<< (8 &* index)
    }
    return value
  }

  /// Writes `value`; returns whether a device owns any of the bytes.
  @discardableResult
  public func write(_ value: UInt64, to address: UInt64, width: AccessWidth) -> Bool {
    if let target = find(address) {
      if target.holds(address, width: width) {
        target.write(value & width.mask, address - target.first, width)
        return true
      }
    } else if !reaches(address, width: width) {
      return false
    }
    for index in 0..<UInt64(width.bytes) {
      guard let target = find(address &+ index) else { continue }
      target.write((value &>> (8 &* index)) & 0xff, address &+ index - target.first, .byte)
    }
    return true
  }

  /// The device that owns `address`, to be called after the table's lock is given back.
  private func find(_ address: UInt64) -> Target? {
    table.withLock { entries in
      var index = Self.position(of: address, in: entries)
      if index == entries.count || entries[index].first != address { index -= 1 }
      guard index >= 0 else { return nil }
      let target = entries[index].target
      return target.last >= address ? target : nil
    }
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
