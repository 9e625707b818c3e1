internal import CLinux
public import KVM
import KVMABI

extension KernelMachine: SlottedMachine {
  public func setMemory(_ slot: MemorySlot) throws(KVMError) {
    try file.set(.KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region(slot))
    note(slot)
  }

  public func setMemoryWithFile(_ slot: MemorySlot) throws(KVMError) {
    try file.set(.KVM_SET_USER_MEMORY_REGION2, apus_memory_region2(slot))
    note(slot)
  }

  private func note(_ slot: MemorySlot) {
    shared.withLock { $0.slotPages[slot.number] = slot.size > 0 ? Int(slot.size / 4096) : nil }
  }

  public func setTaskStateAddress(_ address: UInt64) throws(KVMError) {
    try file.call(.KVM_SET_TSS_ADDR, UInt(address))
  }

  public func setIdentityMapAddress(_ address: UInt64) throws(KVMError) {
    try file.set(.KVM_SET_IDENTITY_MAP_ADDR, address)
  }

  public func pageTableLimit() throws(KVMError) -> Int { try file.call(.KVM_GET_NR_MMU_PAGES) }

  public func setPageTableLimit(_ count: Int) throws(KVMError) {
    try file.call(.KVM_SET_NR_MMU_PAGES, UInt(bitPattern: count))
  }
}

extension KernelMachine: DirtyTrackingMachine {
  public func dirtyPages(slot: UInt32) throws(KVMError) -> PageBitmap {
    // The kernel writes as many bits as the slot has pages; it refuses slots that are not there.
    var bitmap = PageBitmap(pages: shared.withLock { $0.slotPages[slot] ?? 0 })
    var request = unsafe kvm_dirty_log()
    unsafe request.slot = slot
    let result = unsafe bitmap.words.withUnsafeMutableBytes { words in
      unsafe request.dirty_bitmap = words.baseAddress
      return unsafe file.result(.KVM_GET_DIRTY_LOG, with: &request)
    }
    try file.check(result, .KVM_GET_DIRTY_LOG)
    return bitmap
  }

  public func forgetDirtyPages(
    slot: UInt32, first: UInt64, count: UInt32, _ pages: PageBitmap
  ) throws(KVMError) {
    var words = pages.words
    // The kernel reads as many bits as it is told.
    let missing = (Int(count) + 63) / 64 - words.count
    if missing > 0 { words += [UInt64](repeating: 0, count: missing) }
    var request = unsafe kvm_clear_dirty_log()
    unsafe (request.slot, request.num_pages, request.first_page) = (slot, count, first)
    let result = unsafe words.withUnsafeMutableBytes { words in
      unsafe request.dirty_bitmap = words.baseAddress
      return unsafe file.result(.KVM_CLEAR_DIRTY_LOG, with: &request)
    }
    try file.check(result, .KVM_CLEAR_DIRTY_LOG)
  }

  public func resetDirtyRings() throws(KVMError) -> Int { try file.call(.KVM_RESET_DIRTY_RINGS) }
}
