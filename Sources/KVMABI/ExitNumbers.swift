public import CLinux
public import KVM

extension SystemEvent {
  /// From KVM_SYSTEM_EVENT_*.
  public init(number: UInt32) {
    switch CInt(bitPattern: number) {
    case KVM_SYSTEM_EVENT_SHUTDOWN: self = .powerOff
    case KVM_SYSTEM_EVENT_RESET: self = .reset
    case KVM_SYSTEM_EVENT_CRASH: self = .crash
    default: self = .other(number)
    }
  }

  public var number: UInt32 {
    switch self {
    case .powerOff: UInt32(KVM_SYSTEM_EVENT_SHUTDOWN)
    case .reset: UInt32(KVM_SYSTEM_EVENT_RESET)
    case .crash: UInt32(KVM_SYSTEM_EVENT_CRASH)
    case .other(let number): number
    }
  }
}

extension InternalError {
  /// From KVM_INTERNAL_ERROR_*.
  public init(number: UInt32) {
    switch CInt(bitPattern: number) {
    case KVM_INTERNAL_ERROR_EMULATION: self = .emulation
    case KVM_INTERNAL_ERROR_SIMUL_EX: self = .simultaneousException
    case KVM_INTERNAL_ERROR_DELIVERY_EV: self = .delivery
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: self = .unexpectedExit
    default: self = .other(number)
    }
  }

  public var number: UInt32 {
    switch self {
    case .emulation: UInt32(KVM_INTERNAL_ERROR_EMULATION)
    case .simultaneousException: UInt32(KVM_INTERNAL_ERROR_SIMUL_EX)
    case .delivery: UInt32(KVM_INTERNAL_ERROR_DELIVERY_EV)
    case .unexpectedExit: UInt32(KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON)
    case .other(let number): number
    }
  }
}

extension HyperVExit {
  /// `nil` for a kind that is not known.
  public init?(_ values: kvm_hyperv_exit) {
    switch CInt(bitPattern: values.type) {
    case KVM_EXIT_HYPERV_SYNIC:
      let synic = unsafe values.u.synic
      self = .synic(
        register: synic.msr, control: synic.control, eventPage: synic.evt_page,
        messagePage: synic.msg_page)
    case KVM_EXIT_HYPERV_HCALL:
      let call = unsafe values.u.hcall
      self = .hypercall(input: call.input, fixed(call.params))
    case KVM_EXIT_HYPERV_SYNDBG:
      let debugger = unsafe values.u.syndbg
      self = .debugger(
        register: debugger.msr,
        [
          debugger.control, debugger.status, debugger.send_page, debugger.recv_page,
          debugger.pending_page,
        ])
    default: return nil
    }
  }
}

extension kvm_hyperv_exit {
  public init(_ exit: HyperVExit) {
    self.init()
    switch exit {
    case .synic(let register, let control, let eventPage, let messagePage):
      type = UInt32(KVM_EXIT_HYPERV_SYNIC)
      unsafe (u.synic.msr, u.synic.control) = (register, control)
      unsafe (u.synic.evt_page, u.synic.msg_page) = (eventPage, messagePage)
    case .hypercall(let input, let parameters):
      type = UInt32(KVM_EXIT_HYPERV_HCALL)
      unsafe u.hcall.input = input
      unsafe u.hcall.params = tuple(parameters)
    case .debugger(let register, let values):
      type = UInt32(KVM_EXIT_HYPERV_SYNDBG)
      unsafe (u.syndbg.msr, u.syndbg.control) = (register, values[0])
      unsafe (u.syndbg.status, u.syndbg.send_page) = (values[1], values[2])
      unsafe (u.syndbg.recv_page, u.syndbg.pending_page) = (values[3], values[4])
    }
  }
}
