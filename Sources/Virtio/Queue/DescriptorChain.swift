import DeviceModel
public import GuestMemory

/// One request of a driver: buffers that the device reads, then buffers that it writes.
///
/// Every buffer lay wholly in guest RAM when the chain was taken from its queue. A device keeps one
/// chain and has it filled again and again, so that requests cost no allocation.
public struct DescriptorChain: Sendable {
  /// A piece of guest memory.
  public struct Buffer: Hashable, Sendable {
    public let address: UInt64
    public let count: Int
  }

  /// The first descriptor's number, by which the driver knows the chain.
  public internal(set) var head: UInt16 = 0
  public internal(set) var readable: [Buffer] = []
  public internal(set) var writable: [Buffer] = []

  public init() {}

  /// How many bytes the device may read.
  public var readableCount: Int { readable.reduce(0) { $0 + $1.count } }

  /// How many bytes the device may write.
  public var writableCount: Int { writable.reduce(0) { $0 + $1.count } }

  /// Copies up to `count` of the driver's bytes, from `offset` on; fewer when there are no more.
  public func read(_ count: Int, at offset: Int = 0, from memory: GuestMemory) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(min(count, readableCount))
    Self.forEachPiece(of: readable, offset..<offset + count) { piece in
      bytes += (try? memory.bytes(at: piece.address, count: piece.count)) ?? []
    }
    return bytes
  }

  /// Copies `bytes` to the driver, from `offset` on; returns how many found room.
  public func write(_ bytes: [UInt8], at offset: Int = 0, to memory: GuestMemory) -> Int {
    var written = 0
    Self.forEachPiece(of: writable, offset..<offset + bytes.count) { piece in
      let part = Array(bytes[written..<written + piece.count])
      if (try? memory.write(part, at: piece.address)) != nil { written += piece.count }
    }
    return written
  }

  /// Calls `body` with each piece of guest memory that holds a part of `range`, in order.
  static func forEachPiece(
    of buffers: [Buffer], _ range: Range<Int>, _ body: (Buffer) -> Void
  ) {
    var start = 0
    for buffer in buffers where start < range.upperBound {
      let part = range.clamped(to: start..<start + buffer.count)
      start += buffer.count
      if part.isEmpty { continue }
      let skipped = part.lowerBound - (start - buffer.count)
      body(Buffer(address: buffer.address + UInt64(skipped), count: part.count))
    }
  }
}

extension [DescriptorChain.Buffer] {
  /// `count` of the buffers' bytes from `offset` on, as this process addresses them.
  func pieces(_ offset: Int, _ count: Int, in memory: GuestMemory) -> [HostPiece] {
    var pieces: [HostPiece] = []
    DescriptorChain.forEachPiece(of: self, offset..<Swift.max(offset, offset + count)) { piece in
      // The buffers have been checked; a slot that is gone since leaves a shorter list.
      guard let host = unsafe memory.hostAddress(of: piece.address, count: piece.count) else {
        return
      }
      pieces.append(unsafe HostPiece(host, count: piece.count))
    }
    return pieces
  }
}
