/// A bit for each page of a slot, from its first page; the low bit of the first word first.
public struct PageBitmap: Hashable, Sendable {
  public var words: [UInt64]

  public init(pages: Int) { words = [UInt64](repeating: 0, count: (pages + 63) / 64) }
  public init(words: [UInt64]) { self.words = words }

  public subscript(page: Int) -> Bool {
    get { words[page / 64] >> UInt64(page % 64) & 1 != 0 }
    set {
      let bit: UInt64 = 1 << UInt64(page % 64)
      words[page / 64] = newValue ? words[page / 64] | bit : words[page / 64] & ~bit
    }
  }

  /// The pages whose bit is set.
  public var pages: [Int] {
    words.indices.flatMap { word in
      (word * 64..<word * 64 + 64).filter { self[$0] }
    }
  }
}

/// A page that was written, as a processor's ring tells it (`struct kvm_dirty_gfn`).
public struct DirtyPage: Hashable, Sendable, BitwiseCopyable {
  public var slot: UInt32
  /// In pages, from the slot's start.
  public var offset: UInt64

  public init(slot: UInt32, offset: UInt64) {
    self.slot = slot
    self.offset = offset
  }
}

/// Which pages the guest wrote. Slots take part that have ``MemorySlot/Flags/logDirtyPages``.
public protocol DirtyTrackingMachine: VirtualMachine {
  /// The pages written since the last call, and forgets them (KVM_GET_DIRTY_LOG). With
  /// KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 it forgets nothing. ENOENT for a slot that keeps no log.
  func dirtyPages(slot: UInt32) throws(KVMError) -> PageBitmap
  /// Forgets pages from `first`, a multiple of 64; bit 0 stands for it (KVM_CLEAR_DIRTY_LOG).
  func forgetDirtyPages(
    slot: UInt32, first: UInt64, count: UInt32, _ pages: PageBitmap
  ) throws(KVMError)
  /// Lets the processors fill the places again that were collected; how many
  /// (KVM_RESET_DIRTY_RINGS).
  func resetDirtyRings() throws(KVMError) -> Int
}

/// A processor with a ring of dirty pages (KVM_CAP_DIRTY_LOG_RING, enabled on its machine).
public protocol DirtyRingCPU: VirtualCPU {
  /// Takes what the ring holds, oldest first.
  func collectDirtyPages() throws(KVMError) -> [DirtyPage]
}
