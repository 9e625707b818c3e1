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
  private static let onlyVersion = 12

  let device: KVMFile
  public let interfaceVersion: Int
  public let sharedSize: Int

  /// Opens `/dev/kvm`, or another file that speaks its language.
  public init(path: String = "/dev/kvm") throws(KVMError) {
    device = try KVMFile(path: path)
    interfaceVersion = try device.call(.KVM_GET_API_VERSION)
    guard interfaceVersion == Self.onlyVersion else {
      throw .unavailable(
        "\(path) speaks version \(interfaceVersion) of the KVM interface, not 12.")
    }
    sharedSize = try device.call(.KVM_GET_VCPU_MMAP_SIZE)
    guard sharedSize >= MemoryLayout<kvm_run>.size else {
      throw .unavailable("\(path) shares \(sharedSize) bytes with a processor, which is too few.")
    }
  }

  public func supportedCPUID() throws(KVMError) -> [CPUIDEntry] {
    try identification(.KVM_GET_SUPPORTED_CPUID)
  }

  public func makeMachine(
    memory: GuestMemory, processors: Int
  ) throws(KVMError) -> KernelMachine {
    try KernelMachine(
      file: device.file(from: .KVM_CREATE_VM), memory: memory, sharedSize: sharedSize)
  }
}

extension KernelHypervisor: CompleteHypervisor {
  public func check(_ capability: Capability) -> Int { device.check(capability) }

  public func emulatedCPUID() throws(KVMError) -> [CPUIDEntry] {
    try identification(.KVM_GET_EMULATED_CPUID)
  }

  public func hyperVCPUID() throws(KVMError) -> [CPUIDEntry] {
    try identification(.KVM_GET_SUPPORTED_HV_CPUID)
  }

  private func identification(_ request: KVMRequest) throws(KVMError) -> [CPUIDEntry] {
    let entries: [kvm_cpuid_entry2] = try device.table(
      request, header: MemoryLayout<kvm_cpuid2>.size)
    return entries.map(CPUIDEntry.init)
  }

  public func modelSpecificNumbers() throws(KVMError) -> [UInt32] {
    try device.table(.KVM_GET_MSR_INDEX_LIST, header: MemoryLayout<kvm_msr_list>.size)
  }

  public func featureNumbers() throws(KVMError) -> [UInt32] {
    try device.table(.KVM_GET_MSR_FEATURE_INDEX_LIST, header: MemoryLayout<kvm_msr_list>.size)
  }

  public func features(_ numbers: [UInt32]) throws(KVMError) -> [ModelSpecificRegister] {
    try device.readModelSpecific(numbers)
  }

  public func machineCheckCapabilities() throws(KVMError) -> UInt64 {
    try device.get(.KVM_X86_GET_MCE_CAP_SUPPORTED, 0)
  }

  public func value(of attribute: DeviceAttribute) throws(KVMError) -> UInt64 {
    try device.value(of: attribute)
  }

  public func has(_ attribute: DeviceAttribute) -> Bool { device.has(attribute) }

  public func makeMachine() throws(KVMError) -> KernelMachine {
    KernelMachine(file: try device.file(from: .KVM_CREATE_VM), sharedSize: sharedSize)
  }
}
