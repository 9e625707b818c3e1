import CLinux
import CShim
import KVM
import KVMABI
import KVMSoft

/// What stands for /dev/kvm.
final class DeviceFile: OpenFile {
  static let hypervisor = SoftHypervisor()
  private var hypervisor: SoftHypervisor { Self.hypervisor }

  init() { super.init(kind: APUS_DEVICE) }

  override func control(_ request: UInt32, _ argument: UserAddress) throws(KVMError) -> Int {
    switch KVMRequest(rawValue: UInt(request)) {
    case .KVM_GET_API_VERSION: try constant(hypervisor.interfaceVersion, argument)
    case .KVM_GET_VCPU_MMAP_SIZE: try constant(hypervisor.sharedSize, argument)
    case .KVM_CHECK_EXTENSION: Capability(argument).map { hypervisor.check($0) } ?? 0
    case .KVM_CREATE_VM: try makeMachine(type: argument)
    case .KVM_GET_SUPPORTED_CPUID: try argument.put(table: hypervisor.supportedCPUID())
    case .KVM_GET_EMULATED_CPUID: try argument.put(table: hypervisor.emulatedCPUID())
    case .KVM_GET_SUPPORTED_HV_CPUID: try argument.put(table: hypervisor.hyperVCPUID())
    case .KVM_GET_MSR_INDEX_LIST:
      try list(argument, hypervisor.modelSpecificNumbers())
    case .KVM_GET_MSR_FEATURE_INDEX_LIST:
      try list(argument, hypervisor.featureNumbers())
    case .KVM_GET_MSRS: try readFeatures(argument)
    case .KVM_X86_GET_MCE_CAP_SUPPORTED:
      try argument.put(hypervisor.machineCheckCapabilities())
    case .KVM_GET_DEVICE_ATTR: try value(of: argument)
    case .KVM_HAS_DEVICE_ATTR: try hasAttribute(argument)
    default: throw .invalid
    }
  }

  /// Requests that take no argument, and say so.
  private func constant(_ value: Int, _ argument: UserAddress) throws(KVMError) -> Int {
    guard argument.value == 0 else { throw .invalid }
    return value
  }

  private func makeMachine(type: UserAddress) throws(KVMError) -> Int {
    // KVM_X86_DEFAULT_VM is the only one.
    guard type.value == 0 else { throw .invalid }
    let machine = try hypervisor.makeMachine()
    return Int(try makeFile("kvm-vm") { _ in MachineFile(machine) })
  }

  /// `struct kvm_msr_list`
  private func list(_ argument: UserAddress, _ numbers: [UInt32]) throws(KVMError) -> Int {
    let room = try argument.load(UInt32.self)
    try argument.store(UInt32(numbers.count))
    guard numbers.count <= room else { throw .tooBig }
    try argument.advanced(by: 4).store(array: numbers)
    return 0
  }

  private func readFeatures(_ argument: UserAddress) throws(KVMError) -> Int {
    let table = try ModelSpecificTable(argument)
    let numbers = table.entries.map(\.index)
    return try table.fill(hypervisor.features(numbers))
  }

  private func hasAttribute(_ argument: UserAddress) throws(KVMError) -> Int {
    let attribute = DeviceAttribute(try argument.load(kvm_device_attr.self))
    guard hypervisor.has(attribute) else { throw .noAddress }
    return 0
  }

  private func value(of argument: UserAddress) throws(KVMError) -> Int {
    let question = try argument.load(kvm_device_attr.self)
    let value = try hypervisor.value(of: DeviceAttribute(question))
    return try UserAddress(UInt(question.addr)).put(value)
  }
}

extension UserAddress {
  /// `struct kvm_cpuid2`: the number of entries is what there is room for, then what there are.
  func put(table entries: [CPUIDEntry]) throws(KVMError) -> Int {
    let room = try load(UInt32.self)
    guard room >= 1, entries.count <= room else { throw .tooBig }
    try advanced(by: 8).store(array: entries.map(kvm_cpuid_entry2.init))
    return try put(UInt32(entries.count))
  }
}

extension Capability {
  init?(_ argument: UserAddress) {
    guard let number = UInt32(exactly: argument.value) else { return nil }
    self.init(rawValue: number)
  }
}

extension DeviceAttribute {
  init(_ values: kvm_device_attr) { self.init(group: values.group, number: values.attr) }
}

/// `struct kvm_msrs`: registers that are read or written up to the first that is refused.
struct ModelSpecificTable {
  /// Fewer entries than this (MAX_IO_MSRS).
  private static let limit: UInt32 = 256
  private let address: UserAddress
  let entries: [kvm_msr_entry]

  init(_ argument: UserAddress) throws(KVMError) {
    let count = try argument.load(kvm_msrs.self).nmsrs
    guard count < Self.limit else { throw .tooBig }
    address = argument.advanced(by: MemoryLayout<kvm_msrs>.size)
    entries = try address.array(of: kvm_msr_entry.self, count: Int(count))
  }

  /// Writes back what was read; how many those are.
  func fill(_ registers: [ModelSpecificRegister]) throws(KVMError) -> Int {
    try address.store(array: registers.map(kvm_msr_entry.init))
    return registers.count
  }
}
