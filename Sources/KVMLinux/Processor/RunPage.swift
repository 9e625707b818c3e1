import Host
import KVM
import KVMABI

/// The memory that a processor shares with the kernel.
///
/// The kernel writes it only inside KVM_RUN, on the processor's own thread; the one byte that other
/// threads touch is atomic.
final class RunPage: Sendable {
  private let mapping: Mapping
  let area: RunArea

  init(of file: KVMFile, size: Int) throws(KVMError) {
    do {
      mapping = try Mapping(shared: file.descriptor, size: size, protection: 3)
    } catch {
      throw .refused(call: error.call, errno: error.errno)
    }
    area = unsafe RunArea(base: mapping.base, size: mapping.size)
  }
}
