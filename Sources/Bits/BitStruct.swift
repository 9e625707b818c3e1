/// An integer whose bits have names: a register, a descriptor, a table entry.
///
/// Fields are declared one a line as static members of ``Field`` and read with a subscript:
/// `entry[.accessed] = true`. Everything folds into a shift and a mask.
public protocol BitStruct: RawRepresentable, Hashable, Sendable, BitwiseCopyable
where RawValue: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable {
  var rawValue: RawValue { get set }
  init(rawValue: RawValue)
}

/// A run of bits inside a `Register`, read as a `Value`.
public struct Field<Register: BitStruct, Value>: Sendable {
  public let shift: Int
  public let width: Int

  /// The single bit `bit`.
  @inlinable @inline(always)
  public init(bit: Int) { (shift, width) = (bit, 1) }

  /// The bits from the range's lower to its upper bound, both included, as manuals write them.
  @inlinable @inline(always)
  public init(bits: ClosedRange<Int>) {
    (shift, width) = (bits.lowerBound, bits.count)
  }

  /// The field's bits in place.
  @inlinable @inline(always)
  public var mask: Register.RawValue {
    let ones: Register.RawValue =
      width == Register.RawValue.bitWidth ? .max : (1 &<< Register.RawValue(width)) &- 1
    return ones &<< Register.RawValue(shift)
  }
}

extension BitStruct {
  @inlinable @inline(always)
  public init() { self.init(rawValue: 0) }

  /// A flag.
  @inlinable @inline(always)
  public subscript(field: Field<Self, Bool>) -> Bool {
    get { rawValue & field.mask != 0 }
    set { rawValue = newValue ? rawValue | field.mask : rawValue & ~field.mask }
  }

  /// A number; stored values are cut to the field's width.
  @inlinable @inline(always)
  public subscript<Value: FixedWidthInteger>(field: Field<Self, Value>) -> Value {
    get { Value(truncatingIfNeeded: (rawValue & field.mask) &>> RawValue(field.shift)) }
    set {
      let bits = RawValue(truncatingIfNeeded: newValue) &<< RawValue(field.shift)
      rawValue = (rawValue & ~field.mask) | (bits & field.mask)
    }
  }

  /// One of an enumeration's cases; `nil` for a pattern that has none.
  @inlinable @inline(always)
  public subscript<Value: RawRepresentable>(field: Field<Self, Value>) -> Value?
  where Value.RawValue: FixedWidthInteger {
    get {
      let bits = (rawValue & field.mask) &>> RawValue(field.shift)
      return Value(rawValue: Value.RawValue(truncatingIfNeeded: bits))
    }
    set {
      guard let newValue else { return }
      let bits = RawValue(truncatingIfNeeded: newValue.rawValue) &<< RawValue(field.shift)
      rawValue = (rawValue & ~field.mask) | (bits & field.mask)
    }
  }
}
