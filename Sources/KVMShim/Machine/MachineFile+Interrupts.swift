import CLinux
import CShim
import KVM
import KVMABI
import KVMSoft

extension MachineFile {
  func makeInterruptController() throws(KVMError) -> Int {
    try withoutSignals { () throws(KVMError) in try machine.makeInterruptController() }
  }

  func readChip(_ argument: UserAddress) throws(KVMError) -> Int {
    let question = try argument.load(apus_irqchip.self)
    guard let chip = InterruptChip(rawValue: question.chip_id) else { throw .invalid }
    let state = try machine.state(of: chip)
    return try argument.put(apus_irqchip(state))
  }

  func writeChip(_ argument: UserAddress) throws(KVMError) -> Int {
    let state = InterruptChipState(try argument.load(apus_irqchip.self))
    guard let state else { throw .invalid }
    return try done(machine.setState(state))
  }

  func setLine(_ argument: UserAddress, tellsStatus: Bool) throws(KVMError) -> Int {
    var level = try argument.load(kvm_irq_level.self)
    let (line, active) = (level.irq, level.level != 0)
    let status = try machine.setInterruptStatus(line, active: active)
    guard tellsStatus else { return 0 }
    level.status = Int32(truncatingIfNeeded: status)
    return try argument.put(level)
  }

  func setRoutes(_ argument: UserAddress) throws(KVMError) -> Int {
    let header = try argument.load(kvm_irq_routing.self)
    guard header.flags == 0, header.nr <= machine.check(.irqRouting) else { throw .invalid }
    let entries = try argument.advanced(by: MemoryLayout<kvm_irq_routing>.size)
      .array(of: kvm_irq_routing_entry.self, count: Int(header.nr))
    var routes: [InterruptRoute] = []
    for entry in entries {
      let isMessage = entry.type == UInt32(KVM_IRQ_ROUTING_MSI)
      let allowed = isMessage ? UInt32(KVM_MSI_VALID_DEVID) : 0
      guard entry.flags & ~allowed == 0, let route = InterruptRoute(entry) else { throw .invalid }
      routes.append(route)
    }
    return try done(machine.setRoutes(routes))
  }

  func deliver(_ argument: UserAddress) throws(KVMError) -> Int {
    let message = try argument.load(kvm_msi.self)
    guard message.flags & ~UInt32(KVM_MSI_VALID_DEVID) == 0 else { throw .invalid }
    return try machine.deliver(MessageInterrupt(message))
  }

  func connectInterrupt(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_irqfd.self)
    let known = UInt32(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE)
    guard values.flags & ~known == 0 else { throw .invalid }
    let source = InterruptEventSource(values)
    let ends = values.flags & UInt32(KVM_IRQFD_FLAG_DEASSIGN) != 0
    return try withoutSignals { () throws(KVMError) in
      if ends { try machine.disconnect(source) } else { try machine.connect(source) }
    }
  }

  func connectWrites(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_ioeventfd.self)
    let deassign: UInt32 = 1 << kvm_ioeventfd_flag_nr_deassign
    let known = deassign | 1 << kvm_ioeventfd_flag_nr_pio | 1 << kvm_ioeventfd_flag_nr_datamatch
    guard values.flags & ~known == 0 else { throw .invalid }
    let event = WriteEvent(values)
    let ends = values.flags & deassign != 0
    return try done(ends ? machine.disconnect(event) : machine.connect(event))
  }

  func connectSignal(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_hyperv_eventfd.self)
    guard values.flags & ~UInt32(KVM_HYPERV_EVENTFD_DEASSIGN) == 0 else { throw .invalid }
    let connection = HyperVConnection(values)
    return try done(
      values.flags == 0 ? machine.connect(connection) : machine.disconnect(connection))
  }

  func coalesce(_ argument: UserAddress, _ begins: Bool) throws(KVMError) -> Int {
    let values = try argument.load(kvm_coalesced_mmio_zone.self)
    guard values.pio <= 1 else { throw .invalid }
    let zone = CoalescedZone(values)
    return try done(begins ? machine.coalesce(zone) : machine.stopCoalescing(zone))
  }
}

/// Lets threads that are made meanwhile take no signals: those are for the program's own.
func withoutSignals(_ body: () throws(KVMError) -> Void) throws(KVMError) -> Int {
  let old = apus_shim_block_all()
  defer { apus_shim_unblock(old) }
  try body()
  return 0
}
