/// A disk's bytes, wherever they are kept.
///
/// Requests are carried out in any order; one that must come after another is made when that is
/// complete. Any thread.
public protocol BlockStore: AnyObject, Sendable {
  /// In bytes; a multiple of ``BlockRequest/sector``.
  var capacity: UInt64 { get }
  var isReadOnly: Bool { get }
  /// Whether ranges can be given back (discarded).
  var canDiscard: Bool { get }

  /// Carries out a request some time, on any thread, and then calls `completion` once. Whoever makes
  /// the request has checked that it lies within the capacity; its memory stays valid until then.
  func submit(_ request: BlockRequest, completion: @escaping @Sendable (BlockResult) -> Void)

  /// Waits until no request touches memory any more. Completions may still come.
  func drain()
}

/// What a disk is asked to do.
public struct BlockRequest: Sendable {
  /// Disks count in units of so many bytes.
  public static let sector = 512

  public enum Operation: Hashable, Sendable, BitwiseCopyable {
    case read
    case write
    /// Everything that is complete now survives a loss of power.
    case flush
    /// The contents are not needed any more.
    case discard
    /// The contents become zeros; they may be given back as well.
    case writeZeroes
  }

  public let operation: Operation
  /// In bytes.
  public let offset: UInt64
  /// How many bytes; those of ``pieces`` for reads and writes.
  public let count: Int
  /// The memory to read into or to write from, in order.
  public let pieces: [HostPiece]

  public init(_ operation: Operation, at offset: UInt64 = 0, pieces: [HostPiece]) {
    (self.operation, self.offset, self.pieces) = (operation, offset, pieces)
    count = pieces.reduce(0) { $0 + $1.count }
  }

  public init(_ operation: Operation, at offset: UInt64 = 0, count: Int = 0) {
    (self.operation, self.offset, self.count, pieces) = (operation, offset, count, [])
  }
}

/// What came of a request.
public enum BlockResult: Hashable, Sendable, BitwiseCopyable {
  case success
  /// The host could not carry it out, for this reason (an error number).
  case failure(Int32)
}

/// A run of a guest's RAM as this process addresses it; the guest may change it at any moment.
@safe
public struct HostPiece: @unchecked Sendable {
  // Who holds a piece keeps the memory that it is of.
  public let address: UnsafeMutableRawPointer
  public let count: Int

  @unsafe
  public init(_ address: UnsafeMutableRawPointer, count: Int) {
    unsafe self.address = address
    self.count = count
  }
}
