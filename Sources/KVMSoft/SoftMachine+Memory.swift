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
        try group.setSlot(slot.physical(startsWritten: logsStartWritten))
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
