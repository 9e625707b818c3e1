public import DeviceModel
public import Host

/// The bytes of a disk in some format, one request after the other. ``DiskWorkers`` makes a
/// ``BlockStore`` of it.
///
/// Any thread; several requests may run at the same time.
public protocol DiskImage: AnyObject, Sendable {
  /// In bytes.
  var capacity: UInt64 { get }
  var isReadOnly: Bool { get }
  var canDiscard: Bool { get }

  /// Fills `pieces` with what is at `offset`.
  func read(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError)
  func write(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError)
  /// Returns when all that was written before survives a loss of power.
  func flush() throws(SystemError)
  /// Gives the range's space back, as far as that is possible; its contents are zeros, or as before.
  func discard(_ range: Range<UInt64>) throws(SystemError)
  func writeZeroes(_ range: Range<UInt64>) throws(SystemError)
  /// Where the next bytes from `offset` on may be that are no zeros.
  func nextData(from offset: UInt64) throws(SystemError) -> UInt64
}
