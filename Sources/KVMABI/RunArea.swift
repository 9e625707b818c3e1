public import CLinux
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
    unsafeAddress { unsafe UnsafePointer(base.assumingMemoryBound(to: kvm_run.self)) }
    nonmutating unsafeMutableAddress { unsafe base.assumingMemoryBound(to: kvm_run.self) }
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
