import DeviceModel
public import Host

extension QCOW2Image {
  /// Whole clusters become zeros and are given back; the rest of the range stays as it is.
  public func discard(_ range: Range<UInt64>) throws(SystemError) {
    // Without a mark for zeros, what is given back would show the backing file.
    if version < 3 && backing != nil { return }
    try clear(wholeClusters(of: range))
  }

  public func writeZeroes(_ range: Range<UInt64>) throws(SystemError) {
    if version < 3 && backing != nil { return try writeZeroBytes(range) }
    let whole = wholeClusters(of: range)
    if whole.isEmpty { return try writeZeroBytes(range) }
    try writeZeroBytes(range.lowerBound..<whole.lowerBound << UInt64(clusterBits))
    try clear(whole)
    let end = min(whole.upperBound << UInt64(clusterBits), range.upperBound)
    try writeZeroBytes(end..<range.upperBound)
  }

  /// The clusters that are all in the range; the disk's last one may be shorter than others.
  private func wholeClusters(of range: Range<UInt64>) -> Range<UInt64> {
    let size = UInt64(1) << UInt64(clusterBits)
    let first = (range.lowerBound + size - 1) / size
    let end = range.upperBound == capacity ? range.upperBound + size - 1 : range.upperBound
    return first..<max(first, end / size)
  }

  private func clear(_ clusters: Range<UInt64>) throws(SystemError) {
    let blank = ClusterEntry(rawValue: backing == nil ? 0 : ClusterEntry.zeros)
    let perTable = UInt64(1) << UInt64(clusterBits - 3)
    var next = clusters.lowerBound
    while next < clusters.upperBound {
      let end = min((next / perTable + 1) * perTable, clusters.upperBound)
      // Table by table, so that others get their turn.
      try lock.alone { () throws(SystemError) in
        try metadata.withLock { data throws(SystemError) in
          if backing == nil && !data.hasTable(of: next) { return }
          for cluster in next..<end { try data.setEntry(blank, of: cluster) }
          if data.isFull { try data.write() }
        }
      }
      next = end
    }
  }

  /// Writes zeros where there are other bytes than zeros.
  private func writeZeroBytes(_ range: Range<UInt64>) throws(SystemError) {
    var zeros = [UInt8](repeating: 0, count: 1 << 16)
    var position = range.lowerBound
    while position < range.upperBound {
      let run = try lock.shared { () throws(SystemError) in
        try self.run(position..<min(range.upperBound, position + 1 << 16))
      }
      if !isZeros(run.place) {
        _ = try zeros.withPiece { piece throws(SystemError) in
          try write([piece].slice(0, run.count), at: position)
        }
      }
      position += UInt64(run.count)
    }
  }
}
