import DeviceModel
public import Host

extension QCOW2Image {
  /// The states of the disk that the image keeps.
  public func snapshots() throws(SystemError) -> [QCOW2Snapshot] {
    try QCOW2Snapshot.all(metadata.withLock { $0.header }, in: file)
  }

  /// Goes through all tables, and says what is wrong; repairs the counts if told to.
  public func check(repairing: Bool = false) throws(DiskError) -> QCOW2Report {
    try lock.alone { () throws(DiskError) in
      try metadata.withLock { data throws(DiskError) in
        if data.header.hasBitmaps { throw .qcow2(.bitmaps) }
        var counter: ClusterCounter
        do throws(QCOW2Fault) {
          counter = try ClusterCounter(data)
        } catch {
          throw .qcow2(error)
        }
        do throws(SystemError) {
          try data.write()
          try counter.countAll(&data)
          try counter.compare(with: &data, repairing: repairing)
          if repairing { try data.write() }
        } catch {
          throw .system(error)
        }
        return counter.report
      }
    }
  }

  /// Makes sure that the counts are right and that nobody relies on what only other programs keep up
  /// to date, before anything is written.
  func prepareWriting() throws(DiskError) {
    var header = metadata.withLock { $0.header }
    if header.features.contains(.dirty) {
      _ = try check(repairing: true)
      header.features.remove(.dirty)
    }
    let old = metadata.withLock { $0.header }
    if header.features == old.features && header.autoclear == 0 { return }
    header.autoclear = 0
    var fields = [UInt8](repeating: 0, count: 24)
    fields.setBig(header.features.rawValue, at: 0)
    fields.setBig(header.compatible, at: 8)
    do throws(SystemError) {
      try file.flush()
      try file.write(fields, at: 72)
      try file.flush()
    } catch {
      throw .system(error)
    }
    metadata.withLock { [header] in $0.header = header }
  }
}

extension QCOW2Metadata {
  /// How many entries of the disk's tables say wrongly whether the image alone has their cluster.
  mutating func compareOwned(repairing: Bool) throws(SystemError) -> UInt64 {
    var wrong: UInt64 = 0
    for number in l1.indices {
      let entry = l1[number]
      let offset = entry & ClusterEntry.offsetMask
      guard offset != 0, let place = try? Damage.checkedPlace(offset, bits) else { continue }
      let isOwned = try refcounts.count(of: offset >> UInt64(bits)) == 1
      if isOwned != (entry & ClusterEntry.owned != 0) {
        wrong += 1
        if repairing { setOwned(isOwned, table: number) }
      }
      wrong += try compareOwned(tableAt: place, repairing: repairing)
    }
    return wrong
  }

  private mutating func compareOwned(
    tableAt offset: UInt64, repairing: Bool
  ) throws(SystemError) -> UInt64 {
    var wrong: UInt64 = 0
    let table = try tables.table(at: offset)
    for number in 0..<header.clusterSize / 8 {
      let entry = ClusterEntry(rawValue: table.entry(number))
      if !entry.isCompressed && entry.offset == 0 { continue }
      let count = try refcounts.count(of: entry.offset >> UInt64(bits))
      let isOwned = !entry.isCompressed && count == 1
      if isOwned == entry.isOwned { continue }
      wrong += 1
      guard repairing else { continue }
      let new = entry.rawValue & ~ClusterEntry.owned | (isOwned ? ClusterEntry.owned : 0)
      tables.change(table) { $0.setBig(new, at: number * 8) }
    }
    return wrong
  }
}
