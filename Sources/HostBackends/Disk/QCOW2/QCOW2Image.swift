public import DeviceModel
import Glibc
public import Host

/// A disk in a file of the format qcow2: clusters that come to be when they are written, on top of a
/// backing file.
///
/// Reads, and writes to clusters that the image has, share a lock; whoever changes what clusters
/// there are holds it alone, so that no cluster gets another use while bytes are on their way to it.
public final class QCOW2Image: DiskImage {
  public let capacity: UInt64
  public var isReadOnly: Bool { file.isReadOnly }
  public var canDiscard: Bool { !isReadOnly }

  let file: DiskFile
  let backing: (any DiskImage)?
  let clusterBits: Int
  let version: UInt32
  let lock = SharedLock()
  let metadata: Monitor<QCOW2Metadata>
  private let unpacked: UnpackedClusters

  /// - Parameter backing: what is read where the image has nothing.
  init(
    _ header: QCOW2Header, in file: DiskFile, backing: (any DiskImage)?
  ) throws(SystemError) {
    (self.file, self.backing) = (file, backing)
    (clusterBits, version) = (header.clusterBits, header.version)
    capacity = header.size - header.size % UInt64(BlockRequest.sector)
    metadata = Monitor(try QCOW2Metadata(header, in: file))
    unpacked = UnpackedClusters(header, in: file)
  }

  deinit {
    // What a guest has not flushed may be lost, but need not.
    if !isReadOnly { try? metadata.withLock { data throws(SystemError) in try data.write() } }
  }

  public func read(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    try lock.shared { () throws(SystemError) in
      let end = offset + UInt64(pieces.byteCount)
      var position = offset
      while position < end {
        let run = try run(position..<end)
        let part = pieces.slice(Int(position - offset), run.count)
        try fill(part, at: position, from: run.place)
        position += UInt64(run.count)
      }
    }
  }

  public func flush() throws(SystemError) {
    let isDirty = metadata.withLock { $0.isDirty }
    if isDirty { try lock.alone { () throws(SystemError) in try writeMetadata() } }
    try file.flush()
  }

  public func nextData(from offset: UInt64) throws(SystemError) -> UInt64 {
    try lock.shared { () throws(SystemError) in
      var position = offset
      while position < capacity {
        let run = try run(position..<min(capacity, position + 1 << 32))
        switch run.place {
        case .zeros: break
        case .backing:
          guard let backing else { break }
          let next = try position < backing.capacity ? backing.nextData(from: position) : capacity
          if next < min(position + UInt64(run.count), backing.capacity) { return next }
        case .file, .compressed: return position
        }
        position += UInt64(run.count)
      }
      return capacity
    }
  }

  // MARK: Both ways

  func writeMetadata() throws(SystemError) {
    try metadata.withLock { data throws(SystemError) in try data.write() }
  }

  func run(_ range: Range<UInt64>) throws(SystemError) -> ClusterRun {
    try metadata.withLock { data throws(SystemError) in try data.run(range) }
  }

  /// Fills pieces with the disk's bytes at `position`, which are in one place.
  func fill(
    _ pieces: [HostPiece], at position: UInt64, from place: ClusterPlace
  ) throws(SystemError) {
    switch place {
    case .file(let offset, _): try file.read(pieces, at: offset)
    case .zeros: pieces.clear()
    case .backing: try fillFromBacking(pieces, at: position)
    case .compressed(let entry):
      let start = Int(position & (1 << UInt64(clusterBits) - 1))
      pieces.fill(from: try unpacked.cluster(entry), at: start)
    }
  }

  private func fillFromBacking(
    _ pieces: [HostPiece], at position: UInt64
  ) throws(SystemError) {
    let count = pieces.byteCount
    guard let backing, position < backing.capacity else { return pieces.clear() }
    let there = Int(min(UInt64(count), backing.capacity - position))
    try backing.read(pieces.slice(0, there), at: position)
    pieces.slice(there, count - there).clear()
  }
}
