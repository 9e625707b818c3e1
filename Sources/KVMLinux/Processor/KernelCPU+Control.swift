internal import CLinux
import Host
public import KVM
import KVMABI

extension KernelCPU: TimedCPU {
  public func timeStampKilohertz() throws(KVMError) -> UInt32 {
    UInt32(truncatingIfNeeded: try file.call(.KVM_GET_TSC_KHZ))
  }

  public func setTimeStampKilohertz(_ kilohertz: UInt32) throws(KVMError) {
    try file.call(.KVM_SET_TSC_KHZ, UInt(kilohertz))
  }

  public func clockWasPaused() throws(KVMError) { try file.call(.KVM_KVMCLOCK_CTRL) }
}

extension KernelCPU: AttributedCPU {
  public func value(of attribute: DeviceAttribute) throws(KVMError) -> UInt64 {
    try file.value(of: attribute)
  }

  public func setValue(_ value: UInt64, of attribute: DeviceAttribute) throws(KVMError) {
    var value = value
    try file.transfer(&value, attribute, .KVM_SET_DEVICE_ATTR)
  }

  public func has(_ attribute: DeviceAttribute) -> Bool { file.has(attribute) }
}

extension KernelCPU: MachineCheckCPU {
  public func setMachineCheckCapabilities(_ capabilities: UInt64) throws(KVMError) {
    try file.set(.KVM_X86_SETUP_MCE, capabilities)
  }

  public func report(_ check: MachineCheck) throws(KVMError) {
    try file.set(.KVM_X86_SET_MCE, kvm_x86_mce(check))
  }
}

extension KernelCPU: ControlledCPU {
  public func setSignalMask(_ signals: UInt64?) throws(KVMError) {
    guard let signals else {
      try file.call(.KVM_SET_SIGNAL_MASK)
      return
    }
    // The size of the kernel's own set, then the set.
    var bytes: [UInt8] = [8, 0, 0, 0]
    bytes += (0..<8).map { UInt8(truncatingIfNeeded: signals >> ($0 * 8)) }
    try file.call(.KVM_SET_SIGNAL_MASK, bytes: &bytes)
  }

  public func enable(
    _ capability: Capability, _ arguments: FixedArray<4, UInt64>
  ) throws(KVMError) {
    try file.enable(capability, arguments)
  }

  public func nestedState() throws(KVMError) -> NestedState {
    // The header and what a format has at most: two pages.
    let size = 128 + 2 * 4096
    var bytes = NestedState(
      flags: 0, format: 0, payload: [UInt8](repeating: 0, count: size - 8)
    ).bytes
    try file.call(.KVM_GET_NESTED_STATE, bytes: &bytes)
    guard let state = NestedState(bytes: bytes) else {
      throw .unsupported("The kernel's nested state has a form that is not known.")
    }
    return state
  }

  public func setNestedState(_ state: NestedState) throws(KVMError) {
    var bytes = state.bytes
    try file.call(.KVM_SET_NESTED_STATE, bytes: &bytes)
  }

  public func statistics() throws(KVMError) -> [Statistic] { try file.statistics() }
}

extension KernelCPU: DirtyRingCPU {
  public func collectDirtyPages() throws(KVMError) -> [DirtyPage] {
    let size = machine.shared.withLock { $0.dirtySize }
    guard size > 0 else { return [] }
    if dirtyRing == nil { dirtyRing = try MappedDirtyRing(of: file, size: size) }
    return dirtyRing?.ring.collect() ?? []
  }
}

/// A processor's ring of dirty pages, and the mapping that it is in.
final class MappedDirtyRing {
  private let mapping: Mapping
  var ring: DirtyRing

  init(of file: KVMFile, size: Int) throws(KVMError) {
    mapping = try refusing { () throws(SystemError) in
      try Mapping(shared: file.descriptor, size: size, protection: 3, offset: DirtyRing.offset)
    }
    ring = unsafe DirtyRing(base: mapping.base, size: size)
  }
}
