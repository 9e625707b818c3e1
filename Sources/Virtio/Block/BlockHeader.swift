import DeviceModel
import GuestMemory

/// The first bytes of a request to a disk.
///
/// Reference: VIRTIO 1.2, section 5.2.6, "Device Operation".
struct BlockHeader {
  enum Kind: UInt32 {
    case read = 0
    case write = 1
    case flush = 4
    case identify = 8
    case discard = 11
    case writeZeroes = 13
  }

  /// The byte at the end of a request that says what came of it.
  enum Status: UInt8 {
    case success = 0
    case failure = 1
    case unsupported = 2
  }

  static let size = 16
  /// How long the name is that a driver can ask for.
  static let nameSize = 20

  let kind: Kind?
  let sector: UInt64

  /// `nil` when the chain is too short to have a header.
  init?(_ chain: DescriptorChain, in memory: GuestMemory) {
    let bytes = chain.read(Self.size, from: memory)
    guard bytes.count == Self.size else { return nil }
    kind = Kind(rawValue: UInt32(truncatingIfNeeded: Self.number(bytes, 0, 4)))
    sector = Self.number(bytes, 8, 8)
  }

  /// The range that a discard or a clearing is about: sector, count of sectors, flags.
  static func range(
    _ chain: DescriptorChain, in memory: GuestMemory
  ) -> (sector: UInt64, count: UInt64, flags: UInt64)? {
    let bytes = chain.read(16, at: size, from: memory)
    guard bytes.count == 16, chain.readableCount == size + 16 else { return nil }
    return (number(bytes, 0, 8), number(bytes, 8, 4), number(bytes, 12, 4))
  }

  private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }
}
