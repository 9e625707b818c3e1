import Host

/// A range of guest-physical addresses backed by host memory.
@safe
public struct MemoryRegion: @unchecked Sendable {
  /// Guest-physical addresses, page-aligned at both ends.
  public let range: Range<UInt64>
  /// Where the region's first byte is in this process.
  public let host: UnsafeMutableRawPointer
  public let isReadOnly: Bool

  public init(range: Range<UInt64>, host: UnsafeMutableRawPointer, isReadOnly: Bool = false) {
    self.range = range
    unsafe self.host = unsafe host
    self.isReadOnly = isReadOnly
  }
}

/// The guest's memory: where PC memory lies below and above the 32-bit hole.
public enum MemoryLayoutPC {
  /// RAM below 4 GiB ends here at most; devices lie between this and 4 GiB.
  public static let lowMemoryLimit: UInt64 = 0xc000_0000
  /// RAM beyond the low part continues here.
  public static let highMemoryStart: UInt64 = 0x1_0000_0000
}
