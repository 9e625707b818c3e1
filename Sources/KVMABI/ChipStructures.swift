public import CLinux
public import KVM

extension PICState {
  public init(_ values: kvm_pic_state) {
    self.init()
    (lastRequests, requests, mask, inService) = (
      values.last_irr, values.irr, values.imr, values.isr
    )
    (highestPriority, vectorBase) = (values.priority_add, values.irq_base)
    (readRegisterSelect, poll) = (values.read_reg_select, values.poll)
    (specialMask, initializationState) = (values.special_mask, values.init_state)
    (automaticEnd, rotateOnAutomaticEnd) = (values.auto_eoi, values.rotate_on_auto_eoi)
    (specialFullyNested, hasFourthWord) = (values.special_fully_nested_mode, values.init4)
    (levelTriggered, levelTriggeredMask) = (values.elcr, values.elcr_mask)
  }
}

extension kvm_pic_state {
  public init(_ state: PICState) {
    self.init()
    (last_irr, irr, imr, isr) = (state.lastRequests, state.requests, state.mask, state.inService)
    (priority_add, irq_base) = (state.highestPriority, state.vectorBase)
    (read_reg_select, poll) = (state.readRegisterSelect, state.poll)
    (special_mask, init_state) = (state.specialMask, state.initializationState)
    (auto_eoi, rotate_on_auto_eoi) = (state.automaticEnd, state.rotateOnAutomaticEnd)
    (special_fully_nested_mode, init4) = (state.specialFullyNested, state.hasFourthWord)
    (elcr, elcr_mask) = (state.levelTriggered, state.levelTriggeredMask)
  }
}

extension IOAPICState {
  public init(_ values: apus_ioapic_state) {
    self.init()
    baseAddress = values.base_address
    (registerSelect, id, requests) = (values.ioregsel, values.id, values.irr)
    redirections = fixed(values.redirtbl)
  }
}

extension apus_ioapic_state {
  public init(_ state: IOAPICState) {
    self.init()
    base_address = state.baseAddress
    (ioregsel, id, irr) = (state.registerSelect, state.id, state.requests)
    redirtbl = tuple(state.redirections)
  }
}

extension InterruptChipState {
  /// `nil` for a controller that there is not.
  public init?(_ values: apus_irqchip) {
    switch InterruptChip(rawValue: values.chip_id) {
    case .primaryPIC: self = .primaryPIC(PICState(unsafe values.chip.pic))
    case .secondaryPIC: self = .secondaryPIC(PICState(unsafe values.chip.pic))
    case .ioAPIC: self = .ioAPIC(IOAPICState(unsafe values.chip.ioapic))
    case nil: return nil
    }
  }
}

extension apus_irqchip {
  /// The question for a controller's state.
  public init(_ chip: InterruptChip) {
    self.init()
    chip_id = chip.rawValue
  }

  public init(_ state: InterruptChipState) {
    self.init(state.chip)
    switch state {
    case .primaryPIC(let pic), .secondaryPIC(let pic): unsafe chip.pic = kvm_pic_state(pic)
    case .ioAPIC(let apic): unsafe chip.ioapic = apus_ioapic_state(apic)
    }
  }
}
