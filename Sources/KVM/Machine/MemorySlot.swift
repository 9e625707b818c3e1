/// Memory of this process that a guest finds at a guest-physical address
/// (`struct kvm_userspace_memory_region`).
public struct MemorySlot: Hashable, Sendable, BitwiseCopyable {
  /// Which slot; in the upper 16 bits the address space, which is 1 for system-management mode.
  public var number: UInt32
  public var flags: Flags
  /// Page-aligned, like ``size``.
  public var guestAddress: UInt64
  /// In bytes; 0 deletes the slot.
  public var size: UInt64
  /// Where the memory is in this process; page-aligned.
  public var hostAddress: UInt64
  /// A guest_memfd, with ``Flags/guestMemoryFile``; only for KVM_SET_USER_MEMORY_REGION2.
  public var guestFileDescriptor: UInt32 = 0
  /// Where the slot begins in that file, in bytes.
  public var guestFileOffset: UInt64 = 0

  public init(
    _ number: UInt32, guestAddress: UInt64, size: UInt64, hostAddress: UInt64, flags: Flags = []
  ) {
    self.number = number
    self.flags = flags
    self.guestAddress = guestAddress
    self.size = size
    self.hostAddress = hostAddress
  }

  /// The value that deletes a slot.
  public static func deleted(_ number: UInt32) -> Self {
    Self(number, guestAddress: 0, size: 0, hostAddress: 0)
  }

  /// KVM_MEM_*.
  public struct Flags: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let logDirtyPages = Self(rawValue: 1 << 0)
    /// Writes are exits, as if there were no RAM.
    public static let readOnly = Self(rawValue: 1 << 1)
    public static let guestMemoryFile = Self(rawValue: 1 << 2)
  }
}

/// The guest's physical address space. Any thread, while processors run.
public protocol SlottedMachine: VirtualMachine {
  /// Adds a slot, moves it, changes its flags or deletes it (KVM_SET_USER_MEMORY_REGION).
  ///
  /// EINVAL for a slot that cannot be or a change that is not allowed, EEXIST for one that
  /// overlaps another.
  func setMemory(_ slot: MemorySlot) throws(KVMError)
  /// The same with a guest_memfd (KVM_SET_USER_MEMORY_REGION2).
  func setMemoryWithFile(_ slot: MemorySlot) throws(KVMError)

  /// Where three pages may go that processors without real mode need; below 4 GiB
  /// (KVM_SET_TSS_ADDR).
  func setTaskStateAddress(_ address: UInt64) throws(KVMError)
  /// Where one more such page may go; before the first processor (KVM_SET_IDENTITY_MAP_ADDR).
  func setIdentityMapAddress(_ address: UInt64) throws(KVMError)

  /// How many page tables the hypervisor keeps (KVM_GET_NR_MMU_PAGES).
  func pageTableLimit() throws(KVMError) -> Int
  /// KVM_SET_NR_MMU_PAGES
  func setPageTableLimit(_ count: Int) throws(KVMError)
}
