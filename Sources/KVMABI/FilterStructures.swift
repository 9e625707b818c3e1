public import CLinux
public import KVM

extension ModelSpecificFilter {
  /// KVM_MSR_FILTER_MAX_RANGES.
  public static let rangeLimit = 16
  /// Registers of a range at most: KVM_MSR_FILTER_MAX_BITMAP_SIZE bytes of bits.
  public static let registerLimit = 0x600 * 8

  /// Lends the structure, whose bitmaps are only there during the call.
  public func withStructure<Result>(
    _ body: (inout kvm_msr_filter) -> Result
  ) -> Result {
    let bitmaps = ranges.map(\.bitmap)
    let starts = bitmaps.indices.map { index in
      bitmaps[..<index].reduce(0) { $0 + $1.count }
    }
    var bytes = bitmaps.flatMap { $0 }
    bytes.append(0)
    return unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      var table = unsafe FixedArray<16, kvm_msr_filter_range>(repeating: kvm_msr_filter_range())
      for (index, range) in ranges.prefix(Self.rangeLimit).enumerated() {
        unsafe table[index] = kvm_msr_filter_range(
          flags: (range.appliesToReads ? 1 : 0) | (range.appliesToWrites ? 2 : 0),
          nmsrs: UInt32(range.isAllowed.count), base: range.base,
          bitmap: buffer.baseAddress.map { unsafe $0 + starts[index] })
      }
      var structure = kvm_msr_filter()
      structure.flags = isAllowedByDefault ? 0 : 1
      unsafe structure.ranges = tuple(table)
      return body(&structure)
    }
  }
}

extension ModelSpecificFilter.Range {
  /// A bit for each register, in whole 64-bit words as the kernel reads them.
  var bitmap: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: (isAllowed.count + 63) / 64 * 8)
    for (index, allowed) in isAllowed.enumerated() where allowed {
      bytes[index / 8] |= 1 << UInt8(index % 8)
    }
    return bytes
  }

  /// From the structure's flags and a copy of the bitmap.
  public init(flags: UInt32, base: UInt32, count: Int, bitmap: [UInt8]) {
    self.init(
      appliesToReads: flags & 1 != 0, appliesToWrites: flags & 2 != 0, base: base,
      isAllowed: (0..<min(count, bitmap.count * 8)).map { bitmap[$0 / 8] >> ($0 % 8) & 1 != 0 })
  }
}
