internal import CLinux
public import KVM
import KVMABI

extension KernelMachine: ControlledMachine {
  public func check(_ capability: Capability) -> Int { file.check(capability) }

  public func enable(
    _ capability: Capability, _ arguments: FixedArray<4, UInt64>
  ) throws(KVMError) {
    try file.enable(capability, arguments)
    if capability == .dirtyLogRing || capability == .dirtyLogRingAcquireRelease {
      shared.withLock { $0.dirtySize = Int(truncatingIfNeeded: arguments[0]) }
    }
  }

  public func setModelSpecificFilter(_ filter: ModelSpecificFilter) throws(KVMError) {
    let result = filter.withStructure { structure in
      file.result(.KVM_X86_SET_MSR_FILTER, with: &structure)
    }
    try file.check(result, .KVM_X86_SET_MSR_FILTER)
  }

  public func canMakeDevice(type: UInt32) -> Bool {
    var request = kvm_create_device()
    (request.type, request.flags) = (type, UInt32(KVM_CREATE_DEVICE_TEST))
    return (try? file.set(.KVM_CREATE_DEVICE, request)) != nil
  }

  public func has(_ attribute: DeviceAttribute) -> Bool { file.has(attribute) }

  public func statistics() throws(KVMError) -> [Statistic] { try file.statistics() }
}
