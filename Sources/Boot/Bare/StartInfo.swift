import Bits
import GuestMemory

/// What a thin machine tells its guest about itself: its memory and its devices.
///
/// docs/start-info.md describes the bytes. The first five words and the two kinds of entries are
/// those of the talk "KVM without QEMU"; magic number and version follow.
public struct StartInfo: Hashable, Sendable {
  /// "APUS" in memory; also what EAX holds when the guest starts.
  public static let magic: UInt32 = 0x5355_5041
  public static let version: UInt32 = 1

  /// What a range of RAM is used for.
  public enum Use: UInt32, Sendable {
    case free = 0
    case kernel = 1
    /// What the monitor has put there for the start: this structure, tables, the stack.
    case initial = 2
  }

  struct MemoryEntry: Hashable {
    let range: Range<UInt64>
    let use: Use
  }

  /// A device's registers, and the I/O APIC's input it drives.
  public struct Device: Hashable, Sendable {
    public let base: UInt64
    public let interrupt: Int

    public init(base: UInt64, interrupt: Int) { (self.base, self.interrupt) = (base, interrupt) }
  }

  /// Where the arrays begin in the structure's page.
  private static let memoryMap: UInt64 = 0x40
  private static let deviceMap: UInt64 = 0x400
  static let size: UInt64 = 0x1000
  /// How many entries have room.
  static let memoryLimit = Int(deviceMap - memoryMap) / 16
  public static let deviceLimit = Int(size - deviceMap) / 8

  let memory: [MemoryEntry]
  let devices: [Device]

  /// Describes RAM of `size` bytes from 0, of which `used` is occupied; nothing in it overlaps.
  init(size: UInt64, used: [MemoryEntry], devices: [Device]) {
    var entries: [MemoryEntry] = []
    var position: UInt64 = 0
    for entry in used.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
      if entry.range.lowerBound > position {
        entries.append(MemoryEntry(range: position..<entry.range.lowerBound, use: .free))
      }
      entries.append(entry)
      position = entry.range.upperBound
    }
    if position < size { entries.append(MemoryEntry(range: position..<size, use: .free)) }
    (memory, self.devices) = (entries, devices)
  }

  /// The structure and its arrays as they lie in memory from `address` on.
  func bytes(at address: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ words: [UInt64]) {
      for word in words { bytes.append(little: UInt32(truncatingIfNeeded: word)) }
    }
    append([MemoryMap.ioAPIC, UInt64(memory.count), address + Self.memoryMap])
    append([UInt64(devices.count), address + Self.deviceMap])
    append([UInt64(Self.magic), UInt64(Self.version)])
    bytes.append(contentsOf: repeatElement(0, count: Int(Self.memoryMap) - bytes.count))
    for entry in memory {
      append([entry.range.lowerBound, UInt64(entry.range.count), 0, UInt64(entry.use.rawValue)])
    }
    bytes.append(contentsOf: repeatElement(0, count: Int(Self.deviceMap) - bytes.count))
    for device in devices { append([device.base, UInt64(device.interrupt)]) }
    return bytes
  }
}
