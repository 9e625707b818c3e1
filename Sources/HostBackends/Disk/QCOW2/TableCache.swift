import Host

/// Clusters of tables in memory, some of them changed since they were read.
///
/// What has changed stays until ``writeDirty()``: only their owner knows what must be on the disk
/// first.
struct TableCache {
  final class Table {
    let offset: UInt64
    fileprivate(set) var bytes: [UInt8]
    fileprivate(set) var isDirty: Bool
    fileprivate var lastUse: UInt64 = 0

    fileprivate init(offset: UInt64, bytes: [UInt8], isDirty: Bool) {
      (self.offset, self.bytes, self.isDirty) = (offset, bytes, isDirty)
    }

    func entry(_ number: Int) -> UInt64 { bytes.big(UInt64.self, at: number * 8) }
  }

  private let file: DiskFile
  private let tableSize: Int
  private let limit: Int
  private var tables: [UInt64: Table] = [:]
  private var uses: UInt64 = 0
  private(set) var dirtyCount = 0

  init(_ file: DiskFile, tableSize: Int) {
    (self.file, self.tableSize) = (file, tableSize)
    limit = max(4, (2 << 20) / tableSize)
  }

  /// Whether so much has changed that it should be written.
  var isFull: Bool { dirtyCount >= limit / 2 }

  mutating func table(at offset: UInt64) throws(SystemError) -> Table {
    uses += 1
    if let table = tables[offset] {
      table.lastUse = uses
      return table
    }
    let bytes = try file.bytes(at: offset, count: tableSize)
    return insert(Table(offset: offset, bytes: bytes, isDirty: false))
  }

  /// A new table, in place of whatever was there.
  mutating func add(at offset: UInt64, _ bytes: [UInt8]? = nil) -> Table {
    uses += 1
    if tables[offset]?.isDirty == true { dirtyCount -= 1 }
    dirtyCount += 1
    let bytes = bytes ?? [UInt8](repeating: 0, count: tableSize)
    return insert(Table(offset: offset, bytes: bytes, isDirty: true))
  }

  mutating func change(_ table: Table, _ body: (inout [UInt8]) -> Void) {
    if !table.isDirty {
      table.isDirty = true
      dirtyCount += 1
    }
    body(&table.bytes)
    // It may have had to make room since it was asked for.
    tables[table.offset] = table
  }

  mutating func writeDirty() throws(SystemError) {
    if dirtyCount == 0 { return }
    for table in tables.values.filter(\.isDirty).sorted(by: { $0.offset < $1.offset }) {
      try file.write(table.bytes, at: table.offset)
      table.isDirty = false
      dirtyCount -= 1
    }
  }

  private mutating func insert(_ table: Table) -> Table {
    if tables.count >= limit {
      let oldest = tables.values.lazy.filter { !$0.isDirty }.min { $0.lastUse < $1.lastUse }
      if let oldest { tables[oldest.offset] = nil }
    }
    table.lastUse = uses
    tables[table.offset] = table
    return table
  }
}
