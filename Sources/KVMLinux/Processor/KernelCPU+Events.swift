internal import CLinux
public import KVM
import KVMABI

extension KernelCPU: EventfulCPU {
  public func events() throws(KVMError) -> ProcessorEvents {
    ProcessorEvents(try file.get(.KVM_GET_VCPU_EVENTS, kvm_vcpu_events()))
  }

  public func setEvents(_ events: ProcessorEvents) throws(KVMError) {
    try file.set(.KVM_SET_VCPU_EVENTS, kvm_vcpu_events(events))
  }

  public func activity() throws(KVMError) -> ProcessorActivity {
    let number = try file.get(.KVM_GET_MP_STATE, kvm_mp_state()).mp_state
    guard let activity = ProcessorActivity(rawValue: number) else {
      throw .unsupported("The kernel's processor is in state \(number), which is new.")
    }
    return activity
  }

  public func setActivity(_ activity: ProcessorActivity) throws(KVMError) {
    try file.set(.KVM_SET_MP_STATE, kvm_mp_state(mp_state: activity.rawValue))
  }

  public func raiseNonMaskable() throws(KVMError) { try file.call(.KVM_NMI) }

  public func raiseSystemManagement() throws(KVMError) { try file.call(.KVM_SMI) }
}

extension KernelCPU: DebuggedCPU {
  public func debugRegisters() throws(KVMError) -> DebugRegisters {
    DebugRegisters(try file.get(.KVM_GET_DEBUGREGS, kvm_debugregs()))
  }

  public func setDebugRegisters(_ registers: DebugRegisters) throws(KVMError) {
    try file.set(.KVM_SET_DEBUGREGS, kvm_debugregs(registers))
  }

  public func setGuestDebug(_ debug: GuestDebug) throws(KVMError) {
    try file.set(.KVM_SET_GUEST_DEBUG, kvm_guest_debug(debug))
  }

  public func translate(_ linearAddress: UInt64) throws(KVMError) -> Translation {
    var values = kvm_translation()
    values.linear_address = linearAddress
    return Translation(try file.get(.KVM_TRANSLATE, values))
  }
}

extension KernelCPU: LocalAPICCPU {
  public func localAPIC() throws(KVMError) -> LocalAPICState {
    LocalAPICState(try file.get(.KVM_GET_LAPIC, kvm_lapic_state(LocalAPICState())))
  }

  public func setLocalAPIC(_ state: LocalAPICState) throws(KVMError) {
    try file.set(.KVM_SET_LAPIC, kvm_lapic_state(state))
  }

  public func reportTaskPriorityAccess(_ wanted: Bool) throws(KVMError) {
    var values = kvm_tpr_access_ctl()
    values.enabled = wanted ? 1 : 0
    try file.set(.KVM_TPR_ACCESS_REPORTING, values)
  }

  public func setVirtualAPICAddress(_ address: UInt64) throws(KVMError) {
    try file.set(.KVM_SET_VAPIC_ADDR, kvm_vapic_addr(vapic_addr: address))
  }
}
