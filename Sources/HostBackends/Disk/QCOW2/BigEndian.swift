extension [UInt8] {
  /// A number of the format, most significant byte first; the bytes must be there.
  func big<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type, at offset: Int
  ) -> Number {
    let end = offset + MemoryLayout<Number>.size
    precondition(offset >= 0 && end <= count, "a number beyond the end of its table")
    return unsafe withUnsafeBytes { bytes in
      unsafe Number(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
  }

  mutating func setBig<Number: FixedWidthInteger & BitwiseCopyable>(
    _ value: Number, at offset: Int
  ) {
    let end = offset + MemoryLayout<Number>.size
    precondition(offset >= 0 && end <= count, "a number beyond the end of its table")
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: Number.self)
    }
  }
}
