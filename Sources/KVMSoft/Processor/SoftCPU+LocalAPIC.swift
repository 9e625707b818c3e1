import Chipset
import Glibc
public import KVM

/// The processor's interrupt controller.
extension SoftCPU: LocalAPICCPU {
  /// EINVAL on machines without one.
  private func controller(call: String) throws(KVMError) -> InterruptController {
    guard let chips = environment.chips else {
      throw .refused(call: call, errno: EINVAL)
    }
    return chips.controller
  }

  public func localAPIC() throws(KVMError) -> LocalAPICState {
    try controller(call: "KVM_GET_LAPIC").localState(processor: environment.index)
  }

  public func setLocalAPIC(_ state: LocalAPICState) throws(KVMError) {
    let call = "KVM_SET_LAPIC"
    guard try controller(call: call).restoreLocal(state, processor: environment.index) else {
      throw .refused(call: call, errno: EINVAL)
    }
    processor.doorbell.ring()
  }

  /// Nothing is reported, as on hardware whose task priority needs no help.
  public func reportTaskPriorityAccess(_ wanted: Bool) throws(KVMError) {
    _ = try controller(call: "KVM_TPR_ACCESS_REPORTING")
  }

  /// Without reports no guest is patched to use that address.
  public func setVirtualAPICAddress(_ address: UInt64) throws(KVMError) {
    _ = try controller(call: "KVM_SET_VAPIC_ADDR")
  }
}
