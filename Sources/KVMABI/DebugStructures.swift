public import CLinux
public import KVM

extension DebugRegisters {
  public init(_ values: kvm_debugregs) {
    self.init()
    addresses = fixed(values.db)
    (dr6, dr7) = (values.dr6, values.dr7)
  }
}

extension kvm_debugregs {
  public init(_ values: DebugRegisters) {
    self.init()
    db = tuple(values.addresses)
    (dr6, dr7) = (values.dr6, values.dr7)
  }
}

extension GuestDebug {
  public init(_ values: kvm_guest_debug) {
    self.init(Control(rawValue: values.control))
    debugRegisters = fixed(values.arch.debugreg)
  }
}

extension kvm_guest_debug {
  public init(_ debug: GuestDebug) {
    self.init()
    control = debug.control.rawValue
    arch.debugreg = tuple(debug.debugRegisters)
  }
}

extension Translation {
  public init(_ values: kvm_translation) {
    self.init(
      linearAddress: values.linear_address,
      physicalAddress: values.valid != 0 ? values.physical_address : nil,
      isWritable: values.writeable != 0, isUserMode: values.usermode != 0)
  }
}

extension kvm_translation {
  public init(_ translation: Translation) {
    self.init()
    linear_address = translation.linearAddress
    // What KVM gives where there is no page.
    physical_address = translation.physicalAddress ?? .max
    valid = translation.physicalAddress == nil ? 0 : 1
    writeable = translation.isWritable ? 1 : 0
    usermode = translation.isUserMode ? 1 : 0
  }
}

extension LocalAPICState {
  public init(_ values: kvm_lapic_state) {
    self.init()
    bytes = fixed(values.regs)
  }
}

extension kvm_lapic_state {
  public init(_ state: LocalAPICState) {
    self.init()
    regs = tuple(state.bytes)
  }
}
