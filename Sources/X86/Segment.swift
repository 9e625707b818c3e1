import Bits

/// The access-rights word of a segment: bits 40 to 55 of its descriptor.
///
/// Reference: SDM vol. 3A, section 3.4.5.
public struct SegmentAttributes: BitStruct {
  public var rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
}

extension Field<SegmentAttributes, UInt8> {
  @inlinable public static var type: Self { Self(bits: 0...3) }
  @inlinable public static var privilege: Self { Self(bits: 5...6) }
}

extension Field<SegmentAttributes, Bool> {
  @inlinable public static var accessed: Self { Self(bit: 0) }
  @inlinable public static var writableOrReadable: Self { Self(bit: 1) }
  @inlinable public static var conformingOrDown: Self { Self(bit: 2) }
  @inlinable public static var code: Self { Self(bit: 3) }
  /// Code or data, as opposed to a system descriptor.
  @inlinable public static var codeOrData: Self { Self(bit: 4) }
  @inlinable public static var present: Self { Self(bit: 7) }
  @inlinable public static var available: Self { Self(bit: 12) }
  @inlinable public static var long: Self { Self(bit: 13) }
  @inlinable public static var defaultBig: Self { Self(bit: 14) }
  @inlinable public static var granular: Self { Self(bit: 15) }
}

/// A segment register with its hidden part, which alone decides what the processor does.
public struct SegmentRegister: Hashable, Sendable, BitwiseCopyable {
  public var base: UInt64
  /// The last valid offset, in bytes (granularity applied).
  public var limit: UInt32
  public var selector: UInt16
  public var attributes: SegmentAttributes

  @inlinable
  public init(base: UInt64, limit: UInt32, selector: UInt16, attributes: SegmentAttributes) {
    self.base = base
    self.limit = limit
    self.selector = selector
    self.attributes = attributes
  }
}

/// Numbers of the segment registers, as instructions encode them; then the two system ones.
public enum SegmentName: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  case es, cs, ss, ds, fs, gs, localTable, task
}

/// GDTR or IDTR.
public struct DescriptorTable: Hashable, Sendable, BitwiseCopyable {
  public var base: UInt64
  public var limit: UInt16
  @inlinable
  public init(base: UInt64, limit: UInt16) {
    self.base = base
    self.limit = limit
  }
}
