/// The guest's x87, SSE and AVX state as the outside sees it, in XSAVE's standard format.
extension Processor {
  /// In bytes: the legacy area, the header, AVX's upper halves.
  package static let extendedImageSize = ExtendedState.size

  /// A copy of all of it. Components in their initial state have their initial values.
  package var extendedImage: [UInt8] {
    completeImage()
    fillInitialState()
    let present = componentsPresent
    componentsPresent = componentsInUse
    defer { componentsPresent = present }
    return unsafe Array(UnsafeRawBufferPointer(start: extendedArea, count: ExtendedState.size))
  }

  /// Replaces all of it; false, and nothing is, where the image names a component that there is
  /// not, has bits of MXCSR that there are not, or is compacted.
  package func setExtendedImage(_ bytes: [UInt8], components: UInt64) -> Bool {
    guard bytes.count >= ExtendedState.size else { return false }
    let header = bytes[ExtendedState.header..<ExtendedState.header + 64]
    let present = Self.number(header.prefix(8))
    let status = UInt32(truncatingIfNeeded: Self.number(bytes[24..<28]))
    let hasVectors = present & (ExtendedState.streaming | ExtendedState.vector) != 0
    guard present & ~components == 0, header.dropFirst(8).allSatisfy({ $0 == 0 }),
      !hasVectors || status & ~controlStatusMask == 0
    else { return false }
    let mask = controlStatusMask
    unsafe bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      unsafe extendedArea.copyMemory(from: start, byteCount: ExtendedState.size)
    }
    unsafe extendedArea.storeBytes(of: mask, toByteOffset: 28, as: UInt32.self)
    controlStatus = hasVectors ? status : ExtendedState.initialControlStatus
    fillInitialState()
    return true
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
