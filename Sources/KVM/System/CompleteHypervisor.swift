/// What a hypervisor tells of itself, before there is a machine.
public protocol InquirableHypervisor: Hypervisor {
  /// KVM_GET_API_VERSION: 12.
  var interfaceVersion: Int { get }
  /// The bytes that a processor shares with its user: `kvm_run`, the port data and the ring of
  /// coalesced writes (KVM_GET_VCPU_MMAP_SIZE).
  var sharedSize: Int { get }
  /// What it has of a capability; 0 when it lacks it (KVM_CHECK_EXTENSION).
  func check(_ capability: Capability) -> Int

  /// Features that can be given to guests, and take long (KVM_GET_EMULATED_CPUID).
  func emulatedCPUID() throws(KVMError) -> [CPUIDEntry]
  /// Hyper-V's (KVM_GET_SUPPORTED_HV_CPUID).
  func hyperVCPUID() throws(KVMError) -> [CPUIDEntry]

  /// Registers that are a processor's state (KVM_GET_MSR_INDEX_LIST).
  func modelSpecificNumbers() throws(KVMError) -> [UInt32]
  /// Registers that tell what a processor can do (KVM_GET_MSR_FEATURE_INDEX_LIST).
  func featureNumbers() throws(KVMError) -> [UInt32]
  /// Their values, up to the first that is refused (KVM_GET_MSRS of the system).
  func features(_ numbers: [UInt32]) throws(KVMError) -> [ModelSpecificRegister]

  /// IA32_MCG_CAP at most (KVM_X86_GET_MCE_CAP_SUPPORTED).
  func machineCheckCapabilities() throws(KVMError) -> UInt64
  /// KVM_GET_DEVICE_ATTR of the system; ENXIO for one it does not know.
  func value(of attribute: DeviceAttribute) throws(KVMError) -> UInt64
  /// KVM_HAS_DEVICE_ATTR of the system.
  func has(_ attribute: DeviceAttribute) -> Bool

  /// A machine without memory, for as many processors as there can be (KVM_CREATE_VM).
  func makeMachine() throws(KVMError) -> Machine
}

/// A hypervisor that answers all that KVM's interface asks.
public protocol CompleteHypervisor: InquirableHypervisor where Machine: CompleteMachine {}
