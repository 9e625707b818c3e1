internal import CLinux
public import KVM
import KVMABI

extension KernelCPU: EventfulCPU {
  public func events() throws(KVMError) -> ProcessorEvents {
    var values = kvm_vcpu_events()
    try file.call(.KVM_GET_VCPU_EVENTS, with: &values)
    return ProcessorEvents(values)
  }

  public func setEvents(_ events: ProcessorEvents) throws(KVMError) {
    var values = kvm_vcpu_events(events)
    try file.call(.KVM_SET_VCPU_EVENTS, with: &values)
  }

  public func activity() throws(KVMError) -> ProcessorActivity {
    var values = kvm_mp_state()
    try file.call(.KVM_GET_MP_STATE, with: &values)
    guard let activity = ProcessorActivity(rawValue: values.mp_state) else {
      throw .unsupported("The kernel's processor is in state \(values.mp_state), which is new.")
    }
    return activity
  }

  public func setActivity(_ activity: ProcessorActivity) throws(KVMError) {
    var values = kvm_mp_state(mp_state: activity.rawValue)
    try file.call(.KVM_SET_MP_STATE, with: &values)
  }

  public func raiseNonMaskable() throws(KVMError) { try file.call(.KVM_NMI) }

  public func raiseSystemManagement() throws(KVMError) { try file.call(.KVM_SMI) }
}

extension KernelCPU: DebuggedCPU {
  public func debugRegisters() throws(KVMError) -> DebugRegisters {
    var values = kvm_debugregs()
    try file.call(.KVM_GET_DEBUGREGS, with: &values)
    return DebugRegisters(values)
  }

  public func setDebugRegisters(_ registers: DebugRegisters) throws(KVMError) {
    var values = kvm_debugregs(registers)
    try file.call(.KVM_SET_DEBUGREGS, with: &values)
  }

  public func setGuestDebug(_ debug: GuestDebug) throws(KVMError) {
    var values = kvm_guest_debug(debug)
    try file.call(.KVM_SET_GUEST_DEBUG, with: &values)
  }

  public func translate(_ linearAddress: UInt64) throws(KVMError) -> Translation {
    var values = kvm_translation()
    values.linear_address = linearAddress
    try file.call(.KVM_TRANSLATE, with: &values)
    return Translation(values)
  }
}

extension KernelCPU: LocalAPICCPU {
  public func localAPIC() throws(KVMError) -> LocalAPICState {
    var values = kvm_lapic_state(LocalAPICState())
    try file.call(.KVM_GET_LAPIC, with: &values)
    return LocalAPICState(values)
  }

  public func setLocalAPIC(_ state: LocalAPICState) throws(KVMError) {
    var values = kvm_lapic_state(state)
    try file.call(.KVM_SET_LAPIC, with: &values)
  }

  public func reportTaskPriorityAccess(_ wanted: Bool) throws(KVMError) {
    var values = kvm_tpr_access_ctl()
    values.enabled = wanted ? 1 : 0
    try file.call(.KVM_TPR_ACCESS_REPORTING, with: &values)
  }

  public func setVirtualAPICAddress(_ address: UInt64) throws(KVMError) {
    var values = kvm_vapic_addr(vapic_addr: address)
    try file.call(.KVM_SET_VAPIC_ADDR, with: &values)
  }
}
