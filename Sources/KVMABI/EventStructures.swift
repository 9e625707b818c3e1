public import CLinux
public import KVM

extension ProcessorEvents {
  public init(_ values: kvm_vcpu_events) {
    self.init()
    valid = ValidParts(rawValue: values.flags)
    exception.isInjected = values.exception.injected != 0
    exception.isPending = values.exception.pending != 0
    exception.vector = values.exception.nr
    exception.errorCode = values.exception.has_error_code != 0 ? values.exception.error_code : nil
    exception.payload = values.exception_has_payload != 0 ? values.exception_payload : nil
    interrupt.isInjected = values.interrupt.injected != 0
    interrupt.vector = values.interrupt.nr
    interrupt.isSoftware = values.interrupt.soft != 0
    interrupt.shadow = InterruptShadow(rawValue: values.interrupt.shadow)
    nonMaskable.isInjected = values.nmi.injected != 0
    nonMaskable.pending = values.nmi.pending
    nonMaskable.isBlocked = values.nmi.masked != 0
    startupVector = values.sipi_vector
    systemManagement.isInside = values.smi.smm != 0
    systemManagement.isPending = values.smi.pending != 0
    systemManagement.isInsideNonMaskable = values.smi.smm_inside_nmi != 0
    systemManagement.latchedInit = values.smi.latched_init != 0
    hasTripleFault = values.triple_fault.pending != 0
  }
}

extension kvm_vcpu_events {
  public init(_ values: ProcessorEvents) {
    self.init()
    flags = values.valid.rawValue
    exception.injected = values.exception.isInjected ? 1 : 0
    exception.pending = values.exception.isPending ? 1 : 0
    exception.nr = values.exception.vector
    exception.has_error_code = values.exception.errorCode == nil ? 0 : 1
    exception.error_code = values.exception.errorCode ?? 0
    exception_has_payload = values.exception.payload == nil ? 0 : 1
    exception_payload = values.exception.payload ?? 0
    interrupt.injected = values.interrupt.isInjected ? 1 : 0
    interrupt.nr = values.interrupt.vector
    interrupt.soft = values.interrupt.isSoftware ? 1 : 0
    interrupt.shadow = values.interrupt.shadow.rawValue
    nmi.injected = values.nonMaskable.isInjected ? 1 : 0
    nmi.pending = values.nonMaskable.pending
    nmi.masked = values.nonMaskable.isBlocked ? 1 : 0
    sipi_vector = values.startupVector
    smi.smm = values.systemManagement.isInside ? 1 : 0
    smi.pending = values.systemManagement.isPending ? 1 : 0
    smi.smm_inside_nmi = values.systemManagement.isInsideNonMaskable ? 1 : 0
    smi.latched_init = values.systemManagement.latchedInit ? 1 : 0
    triple_fault.pending = values.hasTripleFault ? 1 : 0
  }
}

extension MachineCheck {
  public init(_ values: kvm_x86_mce) {
    self.init(
      bank: values.bank, status: values.status, address: values.addr, miscellaneous: values.misc,
      globalStatus: values.mcg_status)
  }
}

extension kvm_x86_mce {
  public init(_ check: MachineCheck) {
    self.init()
    bank = check.bank
    (status, addr) = (check.status, check.address)
    (misc, mcg_status) = (check.miscellaneous, check.globalStatus)
  }
}
