/// What a driver did that a virtqueue's rules forbid. The device stops until it is reset.
///
/// Reference: Virtual I/O Device (VIRTIO) 1.2, section 2.7.
public enum QueueFault: Error, Hashable, Sendable {
  /// A ring or table lies, at least in part, where the guest has no RAM.
  case ringOutsideMemory(UInt64)
  /// More buffers were made available at once than the queue holds.
  case tooManyAvailable(Int)
  /// A descriptor's number is beyond its table.
  case descriptorOutsideTable(UInt16)
  /// A chain has more descriptors than its table: it loops.
  case endlessChain
  /// An indirect table that was not negotiated, is inside another, goes on elsewhere, or has a
  /// size that makes no sense.
  case badIndirectTable(length: UInt32)
  /// A buffer lies, at least in part, where the guest has no RAM.
  case bufferOutsideMemory(UInt64)
  /// A buffer for the device to read after one for it to write.
  case readableAfterWritable
}
