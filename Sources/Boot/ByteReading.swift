import GuestMemory

extension RawSpan {
  /// The little-endian integer at `offset`; `nil` when it is not wholly inside.
  func integer<Value: FixedWidthInteger & BitwiseCopyable>(
    _ type: Value.Type = Value.self, at offset: UInt64
  ) -> Value? {
    let size = MemoryLayout<Value>.size
    guard holds(size, at: offset) else { return nil }
    return unsafe unsafeLoadUnaligned(fromByteOffset: Int(offset), as: Value.self)
  }

  /// Whether `count` bytes at `offset` are inside.
  func holds(_ count: Int, at offset: UInt64) -> Bool {
    offset <= UInt64(byteCount) && count <= byteCount - Int(offset)
  }

  /// Whether the bytes at `offset` are those of `pattern`.
  func matches(_ pattern: StaticString, at offset: UInt64 = 0) -> Bool {
    guard holds(pattern.utf8CodeUnitCount, at: offset) else { return false }
    for index in 0..<pattern.utf8CodeUnitCount {
      let expected = unsafe pattern.utf8Start[index]
      if integer(UInt8.self, at: offset + UInt64(index)) != expected { return false }
    }
    return true
  }

  /// Whether the bytes at `offset` are those of `pattern`.
  func matches(_ pattern: [UInt8], at offset: UInt64 = 0) -> Bool {
    guard holds(pattern.count, at: offset) else { return false }
    for (index, expected) in pattern.enumerated()
    where integer(UInt8.self, at: offset + UInt64(index)) != expected { return false }
    return true
  }

  /// A copy of `range`, which must be inside.
  func bytes(_ range: Range<Int>) -> [UInt8] {
    unsafe extracting(range).withUnsafeBytes { unsafe [UInt8]($0) }
  }
}

extension GuestMemory {
  /// Copies `bytes` into guest memory; false when no RAM is there.
  func place(_ bytes: RawSpan, at address: UInt64) -> Bool {
    guard let host = unsafe hostAddress(of: address, count: bytes.byteCount) else { return false }
    unsafe bytes.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe host.copyMemory(from: start, byteCount: source.count)
    }
    return true
  }
}
