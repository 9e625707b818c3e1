import Engine
import Glibc
public import KVM

/// System-management mode. Reference: KVM API, sections 4.31 and 4.99.
extension SoftCPU {
  public func raiseSystemManagement() throws(KVMError) { mailbox.post(.systemManagement) }

  /// What KVM_GET_VCPU_EVENTS says of it.
  var systemManagement: SystemManagementEvent {
    var event = SystemManagementEvent()
    event.isInside = environment.isInManagement
    event.isPending = mailbox.hasSystemManagement
    event.isInsideNonMaskable = processor.cpu.managementHeldNMI != 0
    event.latchedInit = mailbox.state.withLock { $0.isReset }
    return event
  }

  /// Puts the processor into the mode, or takes it out; EINVAL where that would have to wait for
  /// the end of an INIT.
  func setSystemManagement(_ events: ProcessorEvents) throws(KVMError) {
    guard events.valid.contains(.systemManagement) else { return }
    let event = events.systemManagement
    guard waiting != .startup || !(event.isInside || event.isPending) else {
      throw .refused(call: "KVM_SET_VCPU_EVENTS", errno: EINVAL)
    }
    processor.setManagement(inside: event.isInside, heldNMI: event.isInsideNonMaskable)
    let hasController = environment.chips != nil
    mailbox.state.withLock { state in
      state.hasSystemManagement = event.isPending
      if hasController { state.isReset = event.latchedInit }
    }
  }
}
