internal import CLinux
import Host
import KVM
import Synchronization

/// The page that a processor shares with the kernel (`struct kvm_run`).
///
/// The kernel writes it only inside KVM_RUN, on the processor's own thread; the one byte that other
/// threads touch is atomic.
@safe
final class RunPage: @unchecked Sendable {
  private let mapping: Mapping

  init(of file: KVMFile, size: Int) throws(KVMError) {
    do {
      mapping = try Mapping(shared: file.descriptor, size: size, protection: 3)
    } catch {
      throw .refused(call: error.call, errno: error.errno)
    }
  }

  /// The structure, in place.
  var content: kvm_run {
    _read { yield unsafe mapping.base.assumingMemoryBound(to: kvm_run.self).pointee }
    _modify { yield unsafe &mapping.base.assumingMemoryBound(to: kvm_run.self).pointee }
  }

  /// Whether the next KVM_RUN is to return at once.
  func setImmediateExit(_ wanted: Bool) {
    // The second byte of the structure.
    let flag = unsafe (mapping.base + 1).assumingMemoryBound(to: Atomic<UInt8>.self)
    unsafe flag.pointee.store(wanted ? 1 : 0, ordering: .sequentiallyConsistent)
  }

  /// Reads a little-endian number of `size` bytes; zero when the kernel points outside the page.
  func load(at offset: Int, size: Int) -> UInt64 {
    var value: UInt64 = 0
    guard contains(offset, size) else { return 0 }
    for byte in 0..<size {
      value |= unsafe UInt64((mapping.base + offset + byte).load(as: UInt8.self)) << (byte * 8)
    }
    return value
  }

  func store(_ value: UInt64, at offset: Int, size: Int) {
    guard contains(offset, size) else { return }
    for byte in 0..<size {
      let part = UInt8(truncatingIfNeeded: value >> (byte * 8))
      unsafe (mapping.base + offset + byte).storeBytes(of: part, as: UInt8.self)
    }
  }

  private func contains(_ offset: Int, _ size: Int) -> Bool {
    size <= 8 && offset >= 0 && offset <= mapping.size - size
  }
}
