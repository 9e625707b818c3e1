internal import CLinux
public import GuestMemory
import Host
public import KVM
import KVMABI

/// The KVM of the host's kernel, through `/dev/kvm`.
///
/// Reference: Documentation/virt/kvm/api.rst of the Linux kernel.
public struct KernelHypervisor: Hypervisor {
  public static let name = "kvm"

  /// The only version of the interface there is.
  static let interfaceVersion = 12

  let device: KVMFile
  /// The size of the page that a processor shares with the kernel, in bytes.
  let runPageSize: Int

  /// Opens `/dev/kvm`, or another file that speaks its language.
  public init(path: String = "/dev/kvm") throws(KVMError) {
    device = try KVMFile(path: path)
    let version = try device.call(.KVM_GET_API_VERSION)
    guard version == Self.interfaceVersion else {
      throw .unavailable("\(path) speaks version \(version) of the KVM interface, not 12.")
    }
    runPageSize = try device.call(.KVM_GET_VCPU_MMAP_SIZE)
    guard runPageSize >= MemoryLayout<kvm_run>.size else {
      throw .unavailable("\(path) shares \(runPageSize) bytes with a processor, which is too few.")
    }
  }

  /// What the kernel has of a capability; 0 when it lacks it (KVM_CHECK_EXTENSION).
  public func check(_ capability: Capability) -> Int {
    (try? device.call(.KVM_CHECK_EXTENSION, UInt(capability.rawValue))) ?? 0
  }

  public func supportedCPUID() throws(KVMError) -> [CPUIDEntry] {
    var table = EntryTable<kvm_cpuid_entry2>(header: MemoryLayout<kvm_cpuid2>.size, capacity: 256)
    try device.call(
      .KVM_GET_SUPPORTED_CPUID, table: &table)
    return table.entries.map(CPUIDEntry.init)
  }

  public func makeMachine(
    memory: GuestMemory, processors: Int
  ) throws(KVMError) -> KernelMachine {
    let file = try device.file(from: .KVM_CREATE_VM)
    return try KernelMachine(file: file, memory: memory, runPageSize: runPageSize)
  }
}
