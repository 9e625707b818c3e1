import DeviceModel
import Host

extension FileDescriptor {
  /// Fills the pieces, one behind the other, with what is at `offset`.
  borrowing func read(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    var offset = offset
    for piece in pieces {
      let buffer = unsafe UnsafeMutableRawBufferPointer(start: piece.address, count: piece.count)
      try unsafe read(into: buffer, at: offset)
      offset += UInt64(piece.count)
    }
  }

  /// Writes the pieces, one behind the other, to `offset`.
  borrowing func write(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    var offset = offset
    for piece in pieces {
      try unsafe write(
        UnsafeRawBufferPointer(start: piece.address, count: piece.count), at: offset)
      offset += UInt64(piece.count)
    }
  }
}
