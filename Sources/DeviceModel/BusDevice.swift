/// A device that answers reads and writes relative to its own base.
///
/// Whoever calls holds the device's lock (see ``Shared``), so a model is plain mutable state and
/// needs no synchronisation of its own. Any offset inside the attached range comes with any width,
/// aligned or not; values are little-endian in the low bytes, the rest is zero.
public protocol BusDevice: Sendable, ~Copyable {
  /// Returns what the guest reads at `offset`; bits beyond `width` are dropped.
  mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64

  /// Takes what the guest writes at `offset`.
  mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth)
}

/// A device of byte-wide registers; wider accesses become one access per byte, low byte first,
/// as an ISA bus splits them.
public protocol ByteDevice: BusDevice, ~Copyable {
  mutating func readByte(_ offset: UInt64) -> UInt8
  mutating func writeByte(_ value: UInt8, to offset: UInt64)
}

extension ByteDevice where Self: ~Copyable {
  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<UInt64(width.bytes) {
      value |= UInt64(readByte(offset &+ index)) &<< (8 &* index)
    }
    return value
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    for index in 0..<UInt64(width.bytes) {
      writeByte(UInt8(truncatingIfNeeded: value &>> (8 &* index)), to: offset &+ index)
    }
  }
}

/// A device with a clock of its own: it says when it wants to be woken, and is then advanced.
public protocol TimedDevice: BusDevice, ~Copyable {
  /// The next moment at which something happens, in monotonic nanoseconds; `nil` when nothing does.
  var deadline: UInt64? { get }

  /// Lets everything happen that was due up to `now`; early and repeated calls are harmless.
  mutating func advance(to now: UInt64)
}
