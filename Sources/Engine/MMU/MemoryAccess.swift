/// What a linear address is wanted for, and on whose behalf.
package struct MemoryAccess: OptionSet, BitwiseCopyable, Hashable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let write = MemoryAccess(rawValue: 1)
  package static let execute = MemoryAccess(rawValue: 2)
  /// With user privilege; without it, a supervisor access.
  package static let user = MemoryAccess(rawValue: 4)
  /// A supervisor access to a descriptor table or task state, which EFLAGS.AC does not excuse
  /// from SMAP.
  package static let implicit = MemoryAccess(rawValue: 8)

  /// A read on the supervisor's behalf.
  package static let supervisorRead: MemoryAccess = []
  /// How the processor itself reads and writes its tables.
  package static let tableRead: MemoryAccess = .implicit
  package static let tableWrite: MemoryAccess = [.implicit, .write]
}

/// What the tables allow at a page.
package struct PageRights: OptionSet, BitwiseCopyable, Hashable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A write with the privilege asked for needs no other walk: allowed, and the page is dirty.
  package static let writableNow = PageRights(rawValue: 1)
  /// R/W is set in every entry.
  package static let writable = PageRights(rawValue: 2)
  /// U/S is set in every entry.
  package static let user = PageRights(rawValue: 4)
  package static let noExecute = PageRights(rawValue: 8)
  /// Survives CR3 loads.
  package static let global = PageRights(rawValue: 16)
  /// Everything but what belongs to page tables; a number, so that no array is made on each use.
  static let unpaged = PageRights(rawValue: 7)
}

/// Where a linear page is, and what may be done with it.
package struct PageTranslation: BitwiseCopyable, Hashable {
  /// Guest-physical address of the 4 KiB page that has the linear address.
  package var page: UInt64
  package var rights: PageRights
  /// log2 of the size of the page in the tables: 12, 21, 22 or 30.
  package var pageShift: UInt8
}
