import Bits
import Glibc

/// The numbers of a driver's requests.
///
/// Reference: linux/fuse.h, enum fuse_opcode.
enum ShareOperation: UInt32 {
  case lookup = 1
  case forget = 2
  case getAttributes = 3
  case setAttributes = 4
  case readLink = 5
  case makeSymbolicLink = 6
  case makeNode = 8
  case makeDirectory = 9
  case removeFile = 10
  case removeDirectory = 11
  case rename = 12
  case link = 13
  case open = 14
  case read = 15
  case write = 16
  case fileSystem = 17
  case release = 18
  case synchronize = 20
  case setExtended = 21
  case getExtended = 22
  case listExtended = 23
  case removeExtended = 24
  case flush = 25
  case initialize = 26
  case openDirectory = 27
  case readDirectory = 28
  case releaseDirectory = 29
  case synchronizeDirectory = 30
  case create = 35
  case interrupt = 36
  case destroy = 38
  case forgetMany = 42
  case allocate = 43
  case readDirectoryPlus = 44
  case renameWithFlags = 45
  case seek = 46
}

/// A request: who makes it, about which file, and what follows.
struct ShareRequest {
  static let headerSize = 40

  let number: UInt32
  /// By which the driver knows the answer.
  let unique: UInt64
  let node: UInt64
  let user: UInt32
  let group: UInt32
  private let bytes: [UInt8]

  /// `nil` when there are not even the bytes of a header.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.headerSize else { return nil }
    number = bytes.loadLittle(UInt32.self, at: 4)
    unique = bytes.loadLittle(UInt64.self, at: 8)
    node = bytes.loadLittle(UInt64.self, at: 16)
    user = bytes.loadLittle(UInt32.self, at: 24)
    group = bytes.loadLittle(UInt32.self, at: 28)
    self.bytes = bytes
  }

  var operation: ShareOperation? { ShareOperation(rawValue: number) }

  /// The 32-bit number at `offset` behind the header.
  func word(_ offset: Int) throws(ShareFailure) -> UInt32 { try number(UInt32.self, offset) }

  /// The 64-bit number at `offset` behind the header.
  func quad(_ offset: Int) throws(ShareFailure) -> UInt64 { try number(UInt64.self, offset) }

  private func number<Value: FixedWidthInteger>(
    _ type: Value.Type, _ offset: Int
  ) throws(ShareFailure) -> Value {
    let place = Self.headerSize + offset
    guard place + Value.bitWidth / 8 <= bytes.count else { throw .malformed }
    return bytes.loadLittle(type, at: place)
  }

  /// The texts that begin at `offset` behind the header: each ends in a zero byte, which it keeps.
  func texts(_ offset: Int, count: Int = 1) throws(ShareFailure) -> [[CChar]] {
    let place = Self.headerSize + offset
    guard place <= bytes.count else { throw .malformed }
    let parts = bytes[place...].split(
      separator: 0, maxSplits: count, omittingEmptySubsequences: false)
    // Behind the last zero byte is something too, if only nothing.
    guard parts.count == count + 1 else { throw .malformed }
    return parts.prefix(count).map { $0.map(CChar.init(bitPattern:)) + [0] }
  }

  /// A name in a directory; never one that leads out of it.
  func name(_ offset: Int) throws(ShareFailure) -> [CChar] {
    try Self.checked(try texts(offset)[0])
  }

  /// Two names, one behind the other.
  func twoNames(_ offset: Int) throws(ShareFailure) -> ([CChar], [CChar]) {
    let texts = try texts(offset, count: 2)
    return (try Self.checked(texts[0]), try Self.checked(texts[1]))
  }

  private static func checked(_ name: [CChar]) throws(ShareFailure) -> [CChar] {
    let (dot, slash) = (CChar(0x2e), CChar(0x2f))
    if name.count == 1 || name.contains(slash) || name == [dot, 0] || name == [dot, dot, 0] {
      throw .error(EINVAL)
    }
    return name
  }

  /// The bytes from `offset` behind the header on.
  func data(from offset: Int) throws(ShareFailure) -> ArraySlice<UInt8> {
    guard Self.headerSize + offset <= bytes.count else { throw .malformed }
    return bytes[(Self.headerSize + offset)...]
  }
}

/// Why a request is not carried out.
enum ShareFailure: Error {
  /// An error number of the host's.
  case error(CInt)
  /// The message is too short, or has no zero byte where a name ends.
  case malformed

  var number: CInt {
    switch self {
    case .error(let number): number
    case .malformed: EINVAL
    }
  }
}

/// An answer under construction.
struct ShareReply {
  static let headerSize = 16
  private(set) var bytes: [UInt8] = []

  mutating func append<Value: FixedWidthInteger>(_ value: Value) { bytes.append(little: value) }
  mutating func append(_ more: some Sequence<UInt8>) { bytes += more }

  /// The bytes with their header in front.
  static func message(_ unique: UInt64, error: CInt = 0, _ body: [UInt8] = []) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headerSize + body.count)
    bytes.append(little: UInt32(headerSize + body.count))
    bytes.append(little: -error)
    bytes.append(little: unique)
    return bytes + body
  }
}
