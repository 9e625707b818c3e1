/// The first cluster of a qcow2 image.
///
/// Reference: QEMU, docs/interop/qcow2, "Header".
struct QCOW2Header: Hashable, Sendable {
  static let magic: UInt32 = 0x5146_49fb
  /// The longest name of a backing file.
  static let nameLimit = 1023

  struct Features: OptionSet, Hashable, Sendable {
    var rawValue: UInt64
    /// The reference counts may be too low.
    static let dirty = Self(rawValue: 1 << 0)
    static let corrupt = Self(rawValue: 1 << 1)
    static let compression = Self(rawValue: 1 << 3)
  }

  enum Compression: UInt8, Sendable {
    case deflate = 0
    case zstd = 1
  }

  var version: UInt32 = 3
  var clusterBits = 16
  /// In bytes.
  var size: UInt64 = 0
  var l1Count = 0
  var l1Offset: UInt64 = 0
  var refcountOffset: UInt64 = 0
  var refcountClusters = 0
  var snapshotCount = 0
  var snapshotsOffset: UInt64 = 0
  var features: Features = []
  var compatible: UInt64 = 0
  var autoclear: UInt64 = 0
  /// The logarithm of the bits that a reference count has.
  var refcountOrder = 4
  var compression = Compression.deflate
  var backingFile: String?
  var backingFormat: String?
  var hasBitmaps = false

  var clusterSize: Int { 1 << clusterBits }
  /// How many bytes of the disk an L2 table is for.
  var tableSpan: UInt64 { 1 << UInt64(2 * clusterBits - 3) }
  /// How many L2 tables the disk has.
  var tablesNeeded: Int { Int(size / tableSpan) + (size % tableSpan == 0 ? 0 : 1) }
  /// How many clusters a cluster of reference counts is for.
  var countsPerBlock: Int { (clusterSize * 8) >> refcountOrder }

  /// Limits of what is kept in memory, which are QEMU's as well.
  static let l1Limit = 32 << 20
  static let refcountTableLimit = 8 << 20
  static let snapshotLimit = 65536
  /// Offsets in a file are below; what is beyond is damage.
  static let offsetLimit: UInt64 = 1 << 56
}
