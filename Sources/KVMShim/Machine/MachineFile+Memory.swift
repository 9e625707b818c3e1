import CLinux
import KVM
import KVMABI
import KVMSoft

extension MachineFile {
  func setMemory(_ argument: UserAddress) throws(KVMError) -> Int {
    let slot = MemorySlot(try argument.load(kvm_userspace_memory_region.self))
    return try done(machine.setMemory(slot))
  }

  func setMemoryWithFile(_ argument: UserAddress) throws(KVMError) -> Int {
    let slot = MemorySlot(try argument.load(apus_memory_region2.self))
    return try done(machine.setMemoryWithFile(slot))
  }

  func setIdentityMap(_ argument: UserAddress) throws(KVMError) -> Int {
    let address = try argument.load(UInt64.self)
    return try done(machine.setIdentityMapAddress(address))
  }

  func readDirtyLog(_ argument: UserAddress) throws(KVMError) -> Int {
    let question = try unsafe argument.load(kvm_dirty_log.self)
    let pages = try machine.dirtyPages(slot: unsafe question.slot)
    try UserAddress(unsafe UInt(bitPattern: question.dirty_bitmap)).store(array: pages.words)
    return 0
  }

  func clearDirtyLog(_ argument: UserAddress) throws(KVMError) -> Int {
    let question = try unsafe argument.load(kvm_clear_dirty_log.self)
    let (slot, count, first) = unsafe (
      question.slot, question.num_pages, question.first_page
    )
    guard first % 64 == 0 else { throw .invalid }
    let words = (Int(count) + 63) / 64
    // As much as the largest slot has.
    guard words <= 1 << 25 else { throw .invalid }
    let address = unsafe UserAddress(UInt(bitPattern: question.dirty_bitmap))
    let pages = PageBitmap(words: try address.array(of: UInt64.self, count: words))
    return try done(machine.forgetDirtyPages(slot: slot, first: first, count: count, pages))
  }

}
