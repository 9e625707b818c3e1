internal import Bits
import Synchronization
internal import X86

/// Bits of paging-structure entries. Reference: SDM vol. 3A, section 4.5.
private enum Entry {
  static let present: UInt64 = 1 << 0
  static let writable: UInt64 = 1 << 1
  static let user: UInt64 = 1 << 2
  static let accessed: UInt64 = 1 << 5
  static let dirty: UInt64 = 1 << 6
  static let large: UInt64 = 1 << 7
  static let global: UInt64 = 1 << 8
  static let noExecute: UInt64 = 1 << 63
  /// What an entry reads as where no memory answers: the bus floats high, so the walk ends in a
  /// page fault for reserved bits, as it does on hardware.
  static let floating = UInt64.max
}

/// Bits of the error code that a page fault pushes. Reference: SDM vol. 3A, section 4.7.
private enum PageFault {
  static let present: UInt32 = 1
  static let write: UInt32 = 2
  static let user: UInt32 = 4
  static let reserved: UInt32 = 8
  static let fetch: UInt32 = 16
}

extension Processor {
  /// How many bits physical addresses have (MAXPHYADDR); CPUID must say the same.
  package static let physicalAddressBits = 46
  /// The address of a page in an entry or in CR3.
  package static let frameMask: UInt64 = (1 << 46) - 0x1000

  /// Walks the guest's tables for one linear address; marks entries accessed and dirty.
  ///
  /// Throws #PF as the architecture has it, or #GP(0) for an address that is not canonical.
  package func translate(
    _ linear: UInt64, _ access: MemoryAccess
  ) throws(GuestFault) -> PageTranslation {
    guard cpu.cr0.contains(.paging) else {
      return PageTranslation(
        page: linear & 0xffff_f000 | addressSpace, rights: .unpaged, pageShift: 30)
    }
    // Another processor, or the guest's own code on one, may change an entry while we mark it;
    // then the walk starts again.
    while true {
      if let found = try walk(linear, access) { return found }
    }
  }

  @inline(always)
  private func walk(
    _ linear: UInt64, _ access: MemoryAccess
  ) throws(GuestFault) -> PageTranslation? {
    if cpu.efer.contains(.longModeActive) {
      guard linear.isCanonical else { throw .protection }
      return try walkWide(
        linear, access, root: cpu.cr3 & Processor.frameMask, shift: 39,
        reserved: 0x000f_ffff_ffff_f000 & ~Processor.frameMask)
    }
    guard cpu.cr4.contains(.physicalAddressExtension) else {
      return try walkNarrow(linear & 0xffff_ffff, access)
    }
    let pointer = cpu.pageDirectoryPointers[Int((linear >> 30) & 3)]
    guard pointer & Entry.present != 0 else { throw pageFault(linear, access, 0) }
    return try walkWide(
      linear & 0xffff_ffff, access, root: pointer & Processor.frameMask, shift: 21,
      reserved: 0x7fff_ffff_ffff_f000 & ~Processor.frameMask)
  }

  /// Tables of 64-bit entries, from the one that `shift` indexes down.
  @inline(always)
  private func walkWide(
    _ linear: UInt64, _ access: MemoryAccess, root: UInt64, shift: UInt64, reserved: UInt64
  ) throws(GuestFault) -> PageTranslation? {
    var illegal = reserved
    if !cpu.efer.contains(.noExecute) { illegal |= Entry.noExecute }
    var (table, shift) = (root, shift)
    var allowed = Entry.writable | Entry.user
    var forbidden: UInt64 = 0
    while true {
      let place = table &+ (linear &>> shift & 0x1ff) &* 8
      let entry = unsafe hostPointer(place)?.load(as: UInt64.self) ?? Entry.floating
      guard entry & Entry.present != 0 else { throw pageFault(linear, access, 0) }
      let isLeaf = shift == 12 || entry & Entry.large != 0
      if isLeaf && shift != 12 {
        // The bits below the large page's frame, PAT (bit 12) apart; no large page at the top.
        illegal |= (1 &<< shift) &- 0x2000
        if shift == 39 { illegal |= Entry.large }
      }
      guard entry & illegal == 0 else {
        throw pageFault(linear, access, PageFault.present | PageFault.reserved)
      }
      allowed &= entry
      forbidden |= entry & Entry.noExecute
      if isLeaf {
        try check(linear, access, allowed: allowed, forbidden: forbidden)
        guard mark(place, entry, access) else { return nil }
        let inside = (1 &<< shift) &- 1
        return finish(
          entry, access, page: (entry & Processor.frameMask & ~inside) | (linear & inside),
          path: (allowed, forbidden), shift: UInt8(truncatingIfNeeded: shift))
      }
      if entry & Entry.accessed == 0 {
        guard mark(place, entry, []) else { return nil }
      }
      table = entry & Processor.frameMask
      shift &-= 9
    }
  }

  /// Tables of 32-bit entries.
  private func walkNarrow(
    _ linear: UInt64, _ access: MemoryAccess
  ) throws(GuestFault) -> PageTranslation? {
    let upperPlace = cpu.cr3 & 0xffff_f000 &+ (linear &>> 22) &* 4
    let upper = UInt64(unsafe hostPointer(upperPlace)?.load(as: UInt32.self) ?? .max)
    guard upper & Entry.present != 0 else { throw pageFault(linear, access, 0) }
    if upper & Entry.large != 0 && cpu.cr4.contains(.pageSizeExtensions) {
      // PSE-36 keeps address bits 32 to 39 in bits 13 to 20; bit 21 is reserved.
      guard upper & (1 << 21) == 0 else {
        throw pageFault(linear, access, PageFault.present | PageFault.reserved)
      }
      try check(linear, access, allowed: upper, forbidden: 0)
      guard markNarrow(upperPlace, upper, access) else { return nil }
      let frame = (upper & 0xffc0_0000) | ((upper &>> 13 & 0xff) &<< 32)
      return finish(
        upper, access, page: frame | (linear & 0x3f_ffff), path: (upper, 0), shift: 22)
    }
    if upper & Entry.accessed == 0 {
      guard markNarrow(upperPlace, upper, []) else { return nil }
    }
    let lowerPlace = upper & 0xffff_f000 &+ (linear &>> 12 & 0x3ff) &* 4
    let lower = UInt64(unsafe hostPointer(lowerPlace)?.load(as: UInt32.self) ?? .max)
    guard lower & Entry.present != 0 else { throw pageFault(linear, access, 0) }
    let allowed = upper & lower
    try check(linear, access, allowed: allowed, forbidden: 0)
    guard markNarrow(lowerPlace, lower, access) else { return nil }
    return finish(
      lower, access, page: lower & 0xffff_f000, path: (allowed, 0), shift: 12)
  }

  /// The access rights of SDM vol. 3A, section 4.6.1.
  @inline(always)
  private func check(
    _ linear: UInt64, _ access: MemoryAccess, allowed: UInt64, forbidden: UInt64
  ) throws(GuestFault) {
    let isUserPage = allowed & Entry.user != 0
    var isAllowed = !access.contains(.execute) || forbidden == 0
    if access.contains(.user) {
      isAllowed = isAllowed && isUserPage
      if access.contains(.write) { isAllowed = isAllowed && allowed & Entry.writable != 0 }
    } else {
      if access.contains(.write) && allowed & Entry.writable == 0 {
        isAllowed = isAllowed && !cpu.cr0.contains(.writeProtect)
      }
      if isUserPage {
        isAllowed = isAllowed && mayTouchUserPage(access)
      }
    }
    if !isAllowed { throw pageFault(linear, access, PageFault.present) }
  }

  /// SMEP and SMAP.
  @inline(always)
  private func mayTouchUserPage(_ access: MemoryAccess) -> Bool {
    if access.contains(.execute) { return !cpu.cr4.contains(.supervisorExecutionPrevention) }
    guard cpu.cr4.contains(.supervisorAccessPrevention) else { return true }
    return !access.contains(.implicit)
      && cpu.systemFlags & RFLAGS.alignmentCheck.rawValue != 0
  }

  /// Sets the accessed bit, and for a write the dirty bit; false where the entry has changed.
  /// Tables in read-only memory stay as they are.
  @inline(always)
  private func mark(_ place: UInt64, _ entry: UInt64, _ access: MemoryAccess) -> Bool {
    let marks = access.contains(.write) ? Entry.accessed | Entry.dirty : Entry.accessed
    if entry & marks == marks { return true }
    guard let host = unsafe writableHostPointer(place) else { return true }
    let shared = unsafe host.assumingMemoryBound(to: Atomic<UInt64>.self)
    let isMarked = unsafe shared.pointee.compareExchange(
      expected: entry, desired: entry | marks, ordering: .sequentiallyConsistent
    ).exchanged
    noteCodeWrite(physical: place | addressSpace, count: 8)
    return isMarked
  }

  private func markNarrow(_ place: UInt64, _ entry: UInt64, _ access: MemoryAccess) -> Bool {
    let marks = access.contains(.write) ? Entry.accessed | Entry.dirty : Entry.accessed
    if entry & marks == marks { return true }
    guard let host = unsafe writableHostPointer(place) else { return true }
    let shared = unsafe host.assumingMemoryBound(to: Atomic<UInt32>.self)
    let isMarked = unsafe shared.pointee.compareExchange(
      expected: UInt32(truncatingIfNeeded: entry),
      desired: UInt32(truncatingIfNeeded: entry | marks), ordering: .sequentiallyConsistent
    ).exchanged
    noteCodeWrite(physical: place | addressSpace, count: 4)
    return isMarked
  }

  @inline(always)
  private func finish(
    _ leaf: UInt64, _ access: MemoryAccess, page: UInt64,
    path: (allowed: UInt64, forbidden: UInt64), shift: UInt8
  ) -> PageTranslation {
    let (allowed, forbidden) = path
    var rights: PageRights = []
    let isWritable = allowed & Entry.writable != 0
    if isWritable { rights.insert(.writable) }
    let isDirty = leaf & Entry.dirty != 0 || access.contains(.write)
    let overrides = !access.contains(.user) && !cpu.cr0.contains(.writeProtect)
    if isDirty && (isWritable || overrides) { rights.insert(.writableNow) }
    if allowed & Entry.user != 0 { rights.insert(.user) }
    if forbidden != 0 { rights.insert(.noExecute) }
    if leaf & Entry.global != 0 && cpu.cr4.contains(.globalPages) { rights.insert(.global) }
    return PageTranslation(page: page & ~0xfff | addressSpace, rights: rights, pageShift: shift)
  }

  private func pageFault(
    _ linear: UInt64, _ access: MemoryAccess, _ cause: UInt32
  ) -> GuestFault {
    var code = cause
    if access.contains(.write) { code |= PageFault.write }
    if access.contains(.user) { code |= PageFault.user }
    let reportsFetch =
      cpu.cr4.contains(.supervisorExecutionPrevention)
      || (cpu.efer.contains(.noExecute) && cpu.cr4.contains(.physicalAddressExtension))
    if access.contains(.execute) && reportsFetch { code |= PageFault.fetch }
    return GuestFault(.pageFault, errorCode: code, address: linear)
  }
}

extension UInt64 {
  /// Whether bits 47 to 63 are alike, as 4-level paging asks of addresses.
  @inline(always)
  var isCanonical: Bool {
    Int64(bitPattern: self).signExtended(from: 48) == Int64(bitPattern: self)
  }
}
