public import X86

extension SegmentRegister {
  /// What loading `selector` leaves in real mode.
  public static func realMode(selector: UInt16) -> Self {
    Self(
      base: UInt64(selector) << 4, limit: 0xffff, selector: selector,
      attributes: .init(rawValue: 0x93))
  }

  /// A 32-bit code segment over all 4 GiB, privilege 0.
  public static func flatCode32(selector: UInt16) -> Self {
    flat(selector: selector, attributes: 0xc09b)
  }

  /// A 64-bit code segment, privilege 0.
  public static func flatCode64(selector: UInt16) -> Self {
    flat(selector: selector, attributes: 0xa09b)
  }

  /// A writable data segment over all 4 GiB, privilege 0.
  public static func flatData(selector: UInt16) -> Self {
    flat(selector: selector, attributes: 0xc093)
  }

  private static func flat(selector: UInt16, attributes: UInt16) -> Self {
    Self(
      base: 0, limit: .max, selector: selector,
      attributes: SegmentAttributes(rawValue: attributes))
  }
}

extension SpecialRegisters {
  /// Points DS, ES, FS, GS and SS at one segment.
  public mutating func setData(_ segment: SegmentRegister) {
    (ds, es, fs, gs, ss) = (segment, segment, segment, segment, segment)
  }
}
