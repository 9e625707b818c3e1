import Bits

extension ELFKernel {
  /// The 32-bit entry point of the PVH boot protocol, if a note in the file names one.
  ///
  /// Reference: Xen, docs/misc/pvh.pandoc, "x86/HVM direct boot ABI".
  public func pvhEntry(in file: RawSpan) -> UInt32? {
    for range in notes where range.upperBound <= UInt64(file.byteCount) {
      if let entry = Self.pvhEntry(in: file, range) { return entry }
    }
    return nil
  }

  private static let physicalEntryNote: UInt32 = 18

  private static func pvhEntry(in file: RawSpan, _ range: Range<UInt64>) -> UInt32? {
    var position = range.lowerBound
    while range.upperBound - position >= 12,
      let nameSize = file.integer(UInt32.self, at: position),
      let size = file.integer(UInt32.self, at: position + 4),
      let type = file.integer(UInt32.self, at: position + 8)
    {
      let name = position + 12
      let contents = name + UInt64(nameSize).rounded(upTo: 4)
      let next = contents + UInt64(size).rounded(upTo: 4)
      if next > range.upperBound { return nil }
      if type == physicalEntryNote, size >= 4, file.matches("Xen\0", at: name) {
        return file.integer(at: contents)
      }
      position = next
    }
    return nil
  }
}
