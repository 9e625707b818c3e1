import DeviceModel
import Glibc
import Host

extension [HostPiece] {
  var byteCount: Int { reduce(0) { $0 + $1.count } }

  /// `count` bytes from `offset` on.
  func slice(_ offset: Int, _ count: Int) -> [HostPiece] {
    var (skip, rest) = (offset, count)
    var result: [HostPiece] = []
    for piece in self where rest > 0 {
      if skip >= piece.count {
        skip -= piece.count
        continue
      }
      let part = Swift.min(piece.count - skip, rest)
      result.append(unsafe HostPiece(piece.address + skip, count: part))
      rest -= part
      skip = 0
    }
    return result
  }

  func clear() {
    for piece in self { unsafe memset(piece.address, 0, piece.count) }
  }

  /// Fills the pieces with `bytes` from `offset` on.
  func fill(from bytes: [UInt8], at offset: Int) {
    var offset = offset
    for piece in self {
      unsafe bytes.withUnsafeBytes { source in
        let target = unsafe UnsafeMutableRawBufferPointer(start: piece.address, count: piece.count)
        unsafe target.copyBytes(from: source[offset..<offset + piece.count])
      }
      offset += piece.count
    }
  }
}

extension [UInt8] {
  /// Runs `body` with the bytes as a request's memory, which is valid as long as it runs.
  mutating func withPiece<Result>(
    _ body: (HostPiece) throws(SystemError) -> Result
  ) throws(SystemError) -> Result? {
    let result = unsafe withUnsafeMutableBytes { buffer -> Swift.Result<Result?, SystemError> in
      guard let base = buffer.baseAddress else { return .success(nil) }
      let piece = unsafe HostPiece(base, count: buffer.count)
      return Swift.Result { () throws(SystemError) in try body(piece) }
    }
    return try result.get()
  }
}

extension [UInt8] {
  /// Fills the bytes with what is first in `pieces`, which have as many.
  mutating func copy(from pieces: [HostPiece]) {
    let count = self.count
    unsafe withUnsafeMutableBytes { target in
      var done = 0
      for piece in pieces.slice(0, count) {
        let source = unsafe UnsafeRawBufferPointer(start: piece.address, count: piece.count)
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[done..<done + piece.count])
          .copyMemory(from: source)
        done += piece.count
      }
    }
  }
}
