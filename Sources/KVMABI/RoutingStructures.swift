public import CLinux
public import KVM

extension InterruptRoute {
  /// `nil` for a kind of route that this architecture does not have.
  public init?(_ entry: kvm_irq_routing_entry) {
    switch CInt(bitPattern: entry.type) {
    case KVM_IRQ_ROUTING_IRQCHIP:
      let pin = unsafe entry.u.irqchip
      guard let chip = InterruptChip(rawValue: pin.irqchip) else { return nil }
      self.init(entry.gsi, .pin(chip, pin.pin))
    case KVM_IRQ_ROUTING_MSI:
      let message = unsafe entry.u.msi
      let address = UInt64(message.address_hi) << 32 | UInt64(message.address_lo)
      self.init(entry.gsi, .message(MessageInterrupt(address: address, data: message.data)))
    case KVM_IRQ_ROUTING_HV_SINT:
      let source = unsafe entry.u.hv_sint
      self.init(entry.gsi, .hyperV(processor: source.vcpu, source: source.sint))
    default: return nil
    }
  }
}

extension kvm_irq_routing_entry {
  public init(_ route: InterruptRoute) {
    self.init()
    gsi = route.line
    switch route.destination {
    case .pin(let chip, let pin):
      type = UInt32(KVM_IRQ_ROUTING_IRQCHIP)
      unsafe u.irqchip = kvm_irq_routing_irqchip(irqchip: chip.rawValue, pin: pin)
    case .message(let message):
      type = UInt32(KVM_IRQ_ROUTING_MSI)
      var entry = kvm_irq_routing_msi()
      entry.address_lo = UInt32(truncatingIfNeeded: message.address)
      entry.address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
      entry.data = message.data
      unsafe u.msi = entry
    case .hyperV(let processor, let source):
      type = UInt32(KVM_IRQ_ROUTING_HV_SINT)
      unsafe u.hv_sint = kvm_irq_routing_hv_sint(vcpu: processor, sint: source)
    }
  }
}

extension MessageInterrupt {
  public init(_ message: kvm_msi) {
    self.init(
      address: UInt64(message.address_hi) << 32 | UInt64(message.address_lo), data: message.data)
  }
}

extension kvm_msi {
  public init(_ message: MessageInterrupt) {
    self.init()
    address_lo = UInt32(truncatingIfNeeded: message.address)
    address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
    data = message.data
  }
}

extension InterruptEventSource {
  public init(_ values: kvm_irqfd) {
    let hasResample = values.flags & UInt32(KVM_IRQFD_FLAG_RESAMPLE) != 0
    self.init(
      descriptor: Int32(bitPattern: values.fd), line: values.gsi,
      resample: hasResample ? Int32(bitPattern: values.resamplefd) : nil)
  }
}

extension kvm_irqfd {
  public init(_ source: InterruptEventSource, isDisconnecting: Bool = false) {
    self.init()
    fd = UInt32(bitPattern: source.descriptor)
    gsi = source.line
    if isDisconnecting { flags = UInt32(KVM_IRQFD_FLAG_DEASSIGN) }
    guard let resample = source.resample else { return }
    flags |= UInt32(KVM_IRQFD_FLAG_RESAMPLE)
    resamplefd = UInt32(bitPattern: resample)
  }
}

extension WriteEvent {
  public init(_ values: kvm_ioeventfd) {
    let isPort = values.flags & 1 << kvm_ioeventfd_flag_nr_pio != 0
    let hasValue = values.flags & 1 << kvm_ioeventfd_flag_nr_datamatch != 0
    self.init(
      descriptor: values.fd, isPort ? .ports : .memory, address: values.addr,
      size: Int(values.len), value: hasValue ? values.datamatch : nil)
  }
}

extension kvm_ioeventfd {
  public init(_ event: WriteEvent, isDisconnecting: Bool = false) {
    self.init()
    fd = event.descriptor
    addr = event.address
    len = UInt32(event.size)
    datamatch = event.value ?? 0
    if event.space == .ports { flags |= 1 << kvm_ioeventfd_flag_nr_pio }
    if event.value != nil { flags |= 1 << kvm_ioeventfd_flag_nr_datamatch }
    if isDisconnecting { flags |= 1 << kvm_ioeventfd_flag_nr_deassign }
  }
}

extension HyperVConnection {
  public init(_ values: kvm_hyperv_eventfd) {
    self.init(values.conn_id, descriptor: values.fd)
  }
}

extension kvm_hyperv_eventfd {
  public init(_ connection: HyperVConnection, isDisconnecting: Bool = false) {
    self.init()
    (conn_id, fd) = (connection.identifier, connection.descriptor)
    if isDisconnecting { flags = UInt32(KVM_HYPERV_EVENTFD_DEASSIGN) }
  }
}
