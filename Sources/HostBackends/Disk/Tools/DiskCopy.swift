import DeviceModel
import Host

/// Copies what is on a disk to another that is as large, and new.
public struct DiskCopy {
  private let source: any DiskImage
  private let target: any DiskImage

  private static let step = 1 << 20
  /// Zeros are looked for in pieces of so many bytes.
  private static let grain = 4096

  public init(from source: any DiskImage, to target: any DiskImage) {
    precondition(source.capacity <= target.capacity, "the target has room for all of the source")
    (self.source, self.target) = (source, target)
  }

  /// - Parameter progress: is told how many bytes are done.
  public func run(progress: (UInt64) -> Void) throws(SystemError) {
    var buffer = [UInt8](repeating: 0, count: Self.step)
    var position: UInt64 = 0
    while position < source.capacity {
      position = try source.nextData(from: position)
      // Steps begin where clusters do.
      position -= position % UInt64(Self.step)
      let count = Int(min(UInt64(Self.step), source.capacity - min(position, source.capacity)))
      if count == 0 { break }
      try copy(count, at: position, through: &buffer)
      position += UInt64(count)
      progress(position)
    }
    try target.flush()
    progress(source.capacity)
  }

  private func copy(
    _ count: Int, at position: UInt64, through buffer: inout [UInt8]
  ) throws(SystemError) {
    _ = try buffer.withPiece { piece throws(SystemError) in
      try source.read([piece].slice(0, count), at: position)
    }
    var start = 0
    while start < count {
      // A new disk has zeros where nothing is written.
      var end = start
      while end < count, !Self.isZero(buffer, end, count) { end = min(end + Self.grain, count) }
      if end > start {
        let (first, length) = (start, end - start)
        _ = try buffer.withPiece { piece throws(SystemError) in
          try target.write([piece].slice(first, length), at: position + UInt64(first))
        }
      }
      start = end
      while start < count, Self.isZero(buffer, start, count) {
        start = min(start + Self.grain, count)
      }
    }
  }

  private static func isZero(_ bytes: [UInt8], _ start: Int, _ count: Int) -> Bool {
    bytes[start..<min(start + grain, count)].allSatisfy { $0 == 0 }
  }
}
