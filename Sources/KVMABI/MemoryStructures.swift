public import CLinux
public import KVM

extension MemorySlot {
  public init(_ values: kvm_userspace_memory_region) {
    self.init(
      values.slot, guestAddress: values.guest_phys_addr, size: values.memory_size,
      hostAddress: values.userspace_addr, flags: Flags(rawValue: values.flags))
  }

  public init(_ values: apus_memory_region2) {
    self.init(
      values.slot, guestAddress: values.guest_phys_addr, size: values.memory_size,
      hostAddress: values.userspace_addr, flags: Flags(rawValue: values.flags))
    guestFileDescriptor = values.guest_memfd
    guestFileOffset = values.guest_memfd_offset
  }
}

extension kvm_userspace_memory_region {
  public init(_ slot: MemorySlot) {
    self.init(
      slot: slot.number, flags: slot.flags.rawValue, guest_phys_addr: slot.guestAddress,
      memory_size: slot.size, userspace_addr: slot.hostAddress)
  }
}

extension apus_memory_region2 {
  public init(_ slot: MemorySlot) {
    self.init()
    self.slot = slot.number
    flags = slot.flags.rawValue
    (guest_phys_addr, memory_size) = (slot.guestAddress, slot.size)
    userspace_addr = slot.hostAddress
    guest_memfd = slot.guestFileDescriptor
    guest_memfd_offset = slot.guestFileOffset
  }
}

extension CoalescedZone {
  public init(_ values: kvm_coalesced_mmio_zone) {
    self.init(
      values.pio != 0 ? .ports : .memory, address: values.addr, size: values.size)
  }
}

extension kvm_coalesced_mmio_zone {
  public init(_ zone: CoalescedZone) {
    self.init()
    addr = zone.address
    size = zone.size
    pio = zone.space == .ports ? 1 : 0
  }
}

extension CoalescedWrite {
  public init(_ values: kvm_coalesced_mmio) {
    let size = min(values.len, 8)
    let value: UInt64 = unsafe unsafeBitCast(values.data, to: UInt64.self)
    let mask: UInt64 = size == 8 ? .max : (1 << UInt64(size * 8)) - 1
    self.init(
      values.pio != 0 ? .ports : .memory, address: values.phys_addr, size: size,
      value: value & mask)
  }
}

extension kvm_coalesced_mmio {
  public init(_ write: CoalescedWrite) {
    self.init()
    phys_addr = write.address
    len = write.size
    pio = write.space == .ports ? 1 : 0
    unsafe data = unsafeBitCast(write.value, to: type(of: data))
  }
}

extension DirtyPage {
  public init(_ values: kvm_dirty_gfn) { self.init(slot: values.slot, offset: values.offset) }
}

extension kvm_dirty_gfn {
  /// A page that waits to be collected.
  public init(_ page: DirtyPage) {
    self.init(flags: 1, slot: page.slot, offset: page.offset)
  }
}
