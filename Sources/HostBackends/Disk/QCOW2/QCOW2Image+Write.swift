public import DeviceModel
public import Host

extension QCOW2Image {
  public func write(_ pieces: [HostPiece], at offset: UInt64) throws(SystemError) {
    let end = offset + UInt64(pieces.byteCount)
    var position = offset
    while position < end {
      let rest = pieces.slice(Int(position - offset), Int(end - position))
      var count = try lock.shared { () throws(SystemError) in
        try writeOwned(rest, at: position)
      }
      if count == 0 {
        count = try lock.alone { () throws(SystemError) in
          try writeCluster(rest, at: position)
        }
      }
      position += UInt64(count)
    }
  }

  /// Writes to clusters that are the image's own, as far as these go; returns how many bytes.
  private func writeOwned(
    _ pieces: [HostPiece], at position: UInt64
  ) throws(SystemError) -> Int {
    let run = try run(position..<position + UInt64(pieces.byteCount))
    guard case .file(let offset, isOwned: true) = run.place else { return 0 }
    try file.write(pieces.slice(0, run.count), at: offset)
    return run.count
  }

  /// Writes to one cluster that the image must have for itself first; returns how many bytes.
  private func writeCluster(
    _ pieces: [HostPiece], at position: UInt64
  ) throws(SystemError) -> Int {
    // Somebody may have made the cluster since.
    let done = try writeOwned(pieces, at: position)
    if done > 0 { return done }
    let size = 1 << clusterBits
    let start = Int(position) & (size - 1)
    let count = min(size - start, pieces.byteCount)
    let cluster = position >> UInt64(clusterBits)
    let place = try run(position..<position + 1).place
    let new = try metadata.withLock { data throws(SystemError) in
      try data.refcounts.allocate()
    }
    do throws(SystemError) {
      try file.write(pieces.slice(0, count), at: new.offset + UInt64(start))
      let isBlank = new.isFresh && isZeros(place)
      for range in [0..<start, start + count..<size] where !range.isEmpty && !isBlank {
        try copy(range, ofClusterAt: position - UInt64(start), from: place, to: new.offset)
      }
      try metadata.withLock { data throws(SystemError) in
        try data.setEntry(
          ClusterEntry(rawValue: new.offset | ClusterEntry.owned), of: cluster)
        if data.isFull { try data.write() }
      }
    } catch {
      metadata.withLock { $0.giveBack(new.offset) }
      throw error
    }
    return count
  }

  func isZeros(_ place: ClusterPlace) -> Bool {
    place == .zeros || place == .backing && backing == nil
  }

  /// Copies a part of a cluster to where it is from now on.
  private func copy(
    _ range: Range<Int>, ofClusterAt position: UInt64, from place: ClusterPlace, to new: UInt64
  ) throws(SystemError) {
    var bytes = [UInt8](repeating: 0, count: range.count)
    var place = place
    if case .file(let offset, let isOwned) = place {
      let cluster = offset & ~(1 << UInt64(clusterBits) - 1)
      place = .file(cluster + UInt64(range.lowerBound), isOwned: isOwned)
    }
    let start = position + UInt64(range.lowerBound)
    try bytes.withPiece { piece throws(SystemError) in
      try fill([piece], at: start, from: place)
    }
    try file.write(bytes, at: new + UInt64(range.lowerBound))
  }
}
