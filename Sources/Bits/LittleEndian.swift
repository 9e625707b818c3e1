extension [UInt8] {
  /// Appends an integer in little-endian order.
  @inlinable
  public mutating func append<Value: FixedWidthInteger>(little value: Value) {
    for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
      append(UInt8(truncatingIfNeeded: value >> Value(shift)))
    }
  }

  /// Replaces bytes from `offset` with an integer in little-endian order.
  @inlinable
  public mutating func store<Value: FixedWidthInteger>(little value: Value, at offset: Int) {
    for index in 0..<Value.bitWidth / 8 {
      self[offset + index] = UInt8(truncatingIfNeeded: value >> Value(8 * index))
    }
  }

  /// The integer whose bytes begin at `offset`, lowest first.
  @inlinable
  public func loadLittle<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value {
    (0..<Value.bitWidth / 8).reduce(0) { $0 | Value(self[offset + $1]) << Value(8 * $1) }
  }
}
