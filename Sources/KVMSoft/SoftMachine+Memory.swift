import Glibc
import GuestMemory
import Host
public import KVM

extension SoftMachine: SlottedMachine {
  public func setMemory(_ slot: MemorySlot) throws(KVMError) {
    let change = slots.withLock { slots -> Result<Void, KVMError> in
      Result { () throws(KVMError) in
        try slots.set(slot)
        memory.setSlots(slots.regions)
      }
    }
    try change.get()
  }

  public func setMemoryWithFile(_ slot: MemorySlot) throws(KVMError) {
    guard !slot.flags.contains(.guestMemoryFile) else { throw MemorySlots.refusal(EINVAL) }
    try setMemory(slot)
  }

  /// The engine needs no such pages, and refuses what KVM refuses.
  public func setTaskStateAddress(_ address: UInt64) throws(KVMError) {
    guard address <= 0xffff_d000 else {
      throw .refused(call: "KVM_SET_TSS_ADDR", errno: EINVAL)
    }
  }

  public func setIdentityMapAddress(_ address: UInt64) throws(KVMError) {}

  public func pageTableLimit() throws(KVMError) -> Int { slots.withLock { $0.pageTables } }

  public func setPageTableLimit(_ count: Int) throws(KVMError) {
    // The least that KVM takes.
    guard count >= 64 else { throw .refused(call: "KVM_SET_NR_MMU_PAGES", errno: EINVAL) }
    slots.withLock { $0.pageTables = count }
  }
}

/// The memory slots that a program made, under KVM's rules.
struct MemorySlots: Sendable {
  private var slots: [UInt32: MemorySlot] = [:]
  /// A number that only its reader knows a use for.
  var pageTables = 0

  /// Pages in one slot at most.
  private static let largest: UInt64 = 1 << 31 - 1
  /// As much of the host's addresses as programs have.
  private static let userLimit: UInt64 = 1 << 47 - 4096

  static func refusal(_ errno: Int32) -> KVMError {
    .refused(call: "KVM_SET_USER_MEMORY_REGION", errno: errno)
  }

  subscript(number: UInt32) -> MemorySlot? { slots[number] }
  var count: Int { slots.count }

  /// What the guest finds where.
  var regions: [MemoryRegion] {
    slots.values.sorted { $0.guestAddress < $1.guestAddress }.compactMap { slot in
      guard let host = unsafe UnsafeMutableRawPointer(bitPattern: UInt(slot.hostAddress)) else {
        return nil
      }
      return unsafe MemoryRegion(
        range: slot.guestAddress..<slot.guestAddress + slot.size, host: host,
        isReadOnly: slot.flags.contains(.readOnly))
    }
  }

  /// Adds, moves, changes or deletes a slot.
  mutating func set(_ new: MemorySlot) throws(KVMError) {
    try check(new)
    let old = slots[new.number]
    guard new.size > 0 else {
      guard old != nil else { throw Self.refusal(EINVAL) }
      slots[new.number] = nil
      return
    }
    if let old {
      // Moved, or with other flags; neither another size, place here, nor kind of access.
      guard new.size == old.size, new.hostAddress == old.hostAddress,
        new.flags.contains(.readOnly) == old.flags.contains(.readOnly)
      else { throw Self.refusal(EINVAL) }
    }
    let range = new.guestAddress..<new.guestAddress + new.size
    let others = slots.values.filter { $0.number != new.number }
    guard !others.contains(where: { $0.range.overlaps(range) }) else { throw Self.refusal(EEXIST) }
    slots[new.number] = new
  }

  private func check(_ slot: MemorySlot) throws(KVMError) {
    let end = slot.guestAddress.addingReportingOverflow(slot.size)
    let hostEnd = slot.hostAddress.addingReportingOverflow(slot.size)
    guard slot.number < SoftCapabilities.slots,
      slot.flags.isSubset(of: [.logDirtyPages, .readOnly]),
      (slot.guestAddress | slot.size | slot.hostAddress) & 0xfff == 0,
      slot.size >> 12 <= Self.largest, !end.overflow,
      !hostEnd.overflow, hostEnd.partialValue <= Self.userLimit
    else { throw Self.refusal(EINVAL) }
  }
}

extension MemorySlot {
  fileprivate var range: Range<UInt64> { guestAddress..<guestAddress + size }
}
