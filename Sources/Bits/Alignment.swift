extension FixedWidthInteger {
  /// The value rounded down to a multiple of `alignment`, a power of two.
  @inlinable @inline(always)
  public func rounded(downTo alignment: Self) -> Self { self & ~(alignment &- 1) }

  /// The value rounded up to a multiple of `alignment`, a power of two; wraps at the type's end.
  @inlinable @inline(always)
  public func rounded(upTo alignment: Self) -> Self {
    (self &+ (alignment &- 1)) & ~(alignment &- 1)
  }

  /// The low `width` bits, sign-extended to the whole type.
  @inlinable @inline(always)
  public func signExtended(from width: Int) -> Self {
    let shift = Self(truncatingIfNeeded: Self.bitWidth - width)
    return (self &<< shift) &>> shift
  }
}
