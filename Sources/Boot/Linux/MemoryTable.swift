import GuestMemory

/// The memory map that the guest is told ("E820").
///
/// Reference: ACPI specification 6.5, section 15.
public struct MemoryTable: Hashable, Sendable {
  public enum Kind: UInt32, Sendable {
    case usable = 1
    case reserved = 2
  }

  public struct Entry: Hashable, Sendable {
    public let range: Range<UInt64>
    public let kind: Kind
  }

  public let entries: [Entry]

  /// The map of a machine whose RAM is `memory`.
  public init(_ memory: GuestMemory) {
    var entries = [
      Entry(range: 0..<MemoryMap.conventionalMemoryEnd, kind: .usable),
      Entry(range: MemoryMap.conventionalMemoryEnd..<MemoryMap.videoMemory, kind: .reserved),
      Entry(range: MemoryMap.acpiTables..<MemoryMap.highMemory, kind: .reserved),
    ]
    for region in memory.regions where region.range.upperBound > MemoryMap.highMemory {
      let start = max(region.range.lowerBound, MemoryMap.highMemory)
      entries.append(
        Entry(
          range: start..<region.range.upperBound, kind: region.isReadOnly ? .reserved : .usable))
    }
    self.entries = entries
  }
}
