import Engine
import Glibc
import Host
public import KVM

extension SoftMachine: SlottedMachine {
  public func setMemory(_ slot: MemorySlot) throws(KVMError) {
    try slot.check()
    do throws(SystemError) {
      if slot.size == 0 {
        try group.removeSlot(slot.number)
      } else {
        try group.setSlot(slot.physical(startsWritten: startsWritten))
      }
    } catch {
      throw MemorySlot.refusal(error.errno)
    }
  }

  public func setMemoryWithFile(_ slot: MemorySlot) throws(KVMError) {
    guard !slot.flags.contains(.guestMemoryFile) else { throw MemorySlot.refusal(EINVAL) }
    try setMemory(slot)
  }

  /// The engine needs no such pages, and refuses what KVM refuses.
  public func setTaskStateAddress(_ address: UInt64) throws(KVMError) {
    guard address <= 0xffff_d000 else {
      throw .refused(call: "KVM_SET_TSS_ADDR", errno: EINVAL)
    }
  }

  public func setIdentityMapAddress(_ address: UInt64) throws(KVMError) {}

  public func pageTableLimit() throws(KVMError) -> Int { pageTables.load(ordering: .relaxed) }

  public func setPageTableLimit(_ count: Int) throws(KVMError) {
    // The least that KVM takes.
    guard count >= 64 else { throw .refused(call: "KVM_SET_NR_MMU_PAGES", errno: EINVAL) }
    pageTables.store(count, ordering: .relaxed)
  }
}

extension SoftMachine: DirtyTrackingMachine {
  /// KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE and KVM_DIRTY_LOG_INITIALLY_SET.
  private var protection: UInt64 { settings.argument(of: .manualDirtyLogProtect2) ?? 0 }
  private var startsWritten: Bool { protection & 3 == 3 }

  public func dirtyPages(slot: UInt32) throws(KVMError) -> PageBitmap {
    let call = "KVM_GET_DIRTY_LOG"
    guard SoftCapabilities.mayHaveSlot(slot) else { throw .refused(call: call, errno: EINVAL) }
    guard let words = group.writtenPages(ofSlot: slot, forgetting: protection & 1 == 0) else {
      throw .refused(call: call, errno: ENOENT)
    }
    return PageBitmap(words: words)
  }

  public func forgetDirtyPages(
    slot: UInt32, first: UInt64, count: UInt32, _ pages: PageBitmap
  ) throws(KVMError) {
    let call = "KVM_CLEAR_DIRTY_LOG"
    guard SoftCapabilities.mayHaveSlot(slot), first & 63 == 0 else {
      throw .refused(call: call, errno: EINVAL)
    }
    guard let total = group.loggedPageCount(ofSlot: slot).map(UInt64.init) else {
      throw .refused(call: call, errno: ENOENT)
    }
    // The last word may stand for fewer than 64 pages only at the slot's end.
    guard first <= total, UInt64(count) <= total - first,
      UInt64(count) == total - first || count & 63 == 0
    else { throw .refused(call: call, errno: EINVAL) }
    let words = pages.words.prefix((Int(count) + 63) / 64)
    guard group.forgetWrittenPages(ofSlot: slot, Array(words), from: Int(first)) else {
      throw .refused(call: call, errno: ENOENT)
    }
  }

  public func resetDirtyRings() throws(KVMError) -> Int {
    throw .refused(call: "KVM_RESET_DIRTY_RINGS", errno: EINVAL)
  }
}

extension MemorySlot {
  /// Pages in one slot at most.
  private static let largest: UInt64 = 1 << 31 - 1
  /// As much of the host's addresses as programs have.
  private static let userLimit: UInt64 = 1 << 47 - 4096

  fileprivate static func refusal(_ errno: Int32) -> KVMError {
    .refused(call: "KVM_SET_USER_MEMORY_REGION", errno: errno)
  }

  /// What KVM refuses of any slot.
  fileprivate func check() throws(KVMError) {
    let end = guestAddress.addingReportingOverflow(size)
    let hostEnd = hostAddress.addingReportingOverflow(size)
    guard SoftCapabilities.mayHaveSlot(number), flags.isSubset(of: [.logDirtyPages, .readOnly]),
      (guestAddress | size | hostAddress) & 0xfff == 0, size >> 12 <= Self.largest,
      !end.overflow, !hostEnd.overflow, hostEnd.partialValue <= Self.userLimit,
      size == 0 || end.partialValue <= 1 << UInt64(Processor.physicalAddressBits)
    else { throw Self.refusal(EINVAL) }
  }

  fileprivate func physical(startsWritten: Bool) -> PhysicalMemorySlot {
    let space = number >> 16 == 0 ? 0 : AddressSpace.management
    var slot = PhysicalMemorySlot(
      number, guestAddress: guestAddress | space, size: size, hostAddress: hostAddress,
      flags: (flags.contains(.readOnly), flags.contains(.logDirtyPages)))
    slot.startsWritten = startsWritten
    return slot
  }
}
