import Bits
import GuestMemory

/// The page of parameters that a Linux kernel finds in RSI.
///
/// Reference: Linux, Documentation/arch/x86/zero-page.rst.
struct BootParameters {
  private(set) var bytes = [UInt8](repeating: 0, count: 4096)

  /// Offsets of fields outside the setup header.
  private enum Offset {
    static let rootPointer = 0x070
    static let mapCount = 0x1e8
    static let map = 0x2d0
  }

  /// How many entries of the memory map fit.
  private static let mapLimit = 128
  private static let unknownLoader: UInt8 = 0xff
  private static let loadedHigh: UInt8 = 1
  private static let normalVideoMode: UInt16 = 0xffff

  init(
    header kernelHeader: SetupHeader, initrd: Range<UInt64>, map: MemoryTable, rootPointer: UInt64
  ) {
    var header = kernelHeader
    header[u8: .loader] = Self.unknownLoader
    header[u8: .loadFlags] |= Self.loadedHigh
    header[u16: .videoMode] = Self.normalVideoMode
    header[u32: .initrdAddress] = UInt32(truncatingIfNeeded: initrd.lowerBound)
    header[u32: .initrdSize] = UInt32(truncatingIfNeeded: initrd.count)
    header[u32: .commandLine] = UInt32(MemoryMap.commandLine)
    bytes.replaceSubrange(
      SetupHeader.start..<SetupHeader.start + header.bytes.count, with: header.bytes)
    bytes.store(little: rootPointer, at: Offset.rootPointer)
    let entries = map.entries.prefix(Self.mapLimit)
    bytes[Offset.mapCount] = UInt8(entries.count)
    for (index, entry) in entries.enumerated() {
      let offset = Offset.map + index * 20
      bytes.store(little: entry.range.lowerBound, at: offset)
      bytes.store(little: UInt64(entry.range.count), at: offset + 8)
      bytes.store(little: entry.kind.rawValue, at: offset + 16)
    }
  }
}
