public import CLinux
public import KVM
import Synchronization

/// What a processor and its user share (`struct kvm_run`, the data of port accesses, the ring of
/// coalesced writes), in place.
///
/// Either side may be the one that runs guests: `KVMLinux` reads exits that the kernel wrote, the
/// preload library writes exits that a program reads. The memory must outlive every copy, and the
/// other side is not trusted: nothing here reads or writes outside.
@safe
public struct RunArea: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  /// In bytes: pages of 4096, at least the one of the structure.
  public let size: Int

  /// Where KVM puts the data of port accesses: the second page (KVM_PIO_PAGE_OFFSET).
  public static let portDataOffset = 4096

  public init(base: UnsafeMutableRawPointer, size: Int) {
    precondition(size >= MemoryLayout<kvm_run>.size, "too small for struct kvm_run")
    unsafe self.base = base
    self.size = size
  }

  /// The structure, in place.
  public var content: kvm_run {
    _read { yield unsafe base.assumingMemoryBound(to: kvm_run.self).pointee }
    nonmutating _modify { yield unsafe &base.assumingMemoryBound(to: kvm_run.self).pointee }
  }

  /// Whether the next KVM_RUN is to return at once: the one byte that several threads touch.
  public var isImmediateExit: Bool {
    get { unsafe immediateExit.pointee.load(ordering: .sequentiallyConsistent) != 0 }
    nonmutating set {
      unsafe immediateExit.pointee.store(newValue ? 1 : 0, ordering: .sequentiallyConsistent)
    }
  }

  private var immediateExit: UnsafeMutablePointer<Atomic<UInt8>> {
    // The second byte of the structure.
    unsafe (base + 1).assumingMemoryBound(to: Atomic<UInt8>.self)
  }

  /// The data of the port access in the structure; empty when there is none, or when it would lie
  /// outside.
  public func withPortData<Result>(_ body: (inout MutableRawSpan) -> Result) -> Result {
    var range = 0..<0
    if content.exit_reason == UInt32(KVM_EXIT_IO) {
      let access = content.io
      let count = Int(access.size) * Int(access.count)
      if let offset = Int(exactly: access.data_offset), offset <= size, count <= size - offset {
        range = offset..<offset + count
      }
    }
    var data = unsafe MutableRawSpan(
      _unsafeStart: base + range.lowerBound, byteCount: range.count)
    return body(&data)
  }

  /// The structure at a page, if that is inside.
  func page(_ number: Int) -> UnsafeMutableRawPointer? {
    guard number > 0, number < size / 4096 else { return nil }
    return unsafe base + number * 4096
  }
}

/// The writes that wait, in a page that is both sides' (`struct kvm_coalesced_mmio_ring`).
///
/// One side appends, the other takes; each only at times when the other does not.
@safe
public struct CoalescedRing: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer

  private static let header = MemoryLayout<UInt64>.size
  private static let stride = MemoryLayout<kvm_coalesced_mmio>.stride
  /// Places, of which one always stays empty.
  public static let capacity = UInt32((4096 - header) / stride)

  /// The ring on page `number` of the shared memory: what KVM_CAP_COALESCED_MMIO tells.
  public init?(in area: RunArea, page number: Int) {
    guard let base = unsafe area.page(number) else { return nil }
    unsafe self.base = base
  }

  private var first: UInt32 {
    get { unsafe base.load(as: UInt32.self) % Self.capacity }
    nonmutating set { unsafe base.storeBytes(of: newValue, as: UInt32.self) }
  }

  private var last: UInt32 {
    get { unsafe base.load(fromByteOffset: 4, as: UInt32.self) % Self.capacity }
    nonmutating set { unsafe base.storeBytes(of: newValue, toByteOffset: 4, as: UInt32.self) }
  }

  /// Adds a write; `false` when there is no room.
  public func append(_ write: CoalescedWrite) -> Bool {
    let place = last
    let next = (place + 1) % Self.capacity
    guard next != first else { return false }
    let offset = Self.header + Int(place) * Self.stride
    unsafe base.storeBytes(
      of: kvm_coalesced_mmio(write), toByteOffset: offset, as: kvm_coalesced_mmio.self)
    atomicMemoryFence(ordering: .releasing)
    last = next
    return true
  }

  /// Takes all writes, oldest first.
  public func collect() -> [CoalescedWrite] {
    var writes: [CoalescedWrite] = []
    while first != last {
      atomicMemoryFence(ordering: .acquiring)
      let offset = Self.header + Int(first) * Self.stride
      let entry = unsafe base.load(fromByteOffset: offset, as: kvm_coalesced_mmio.self)
      writes.append(CoalescedWrite(entry))
      first = (first + 1) % Self.capacity
    }
    return writes
  }
}
