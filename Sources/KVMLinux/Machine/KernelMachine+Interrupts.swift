internal import CLinux
public import KVM
import KVMABI

extension KernelMachine: InterruptibleMachine {
  public func makeSplitInterruptController(lines: Int) throws(KVMError) {
    try enable(.splitIrqchip, [UInt64(lines), 0, 0, 0])
  }

  public func state(of chip: InterruptChip) throws(KVMError) -> InterruptChipState {
    let values = try file.get(.KVM_GET_IRQCHIP, apus_irqchip(chip))
    guard let state = InterruptChipState(values) else {
      throw .unsupported("The kernel answered for another interrupt controller.")
    }
    return state
  }

  public func setState(_ state: InterruptChipState) throws(KVMError) {
    try file.set(.KVM_SET_IRQCHIP, apus_irqchip(state))
  }

  public func setInterruptStatus(_ line: UInt32, active: Bool) throws(KVMError) -> Int {
    var level = kvm_irq_level()
    level.irq = line
    level.level = active ? 1 : 0
    return Int(try file.get(.KVM_IRQ_LINE_STATUS, level).status)
  }

  public func setRoutes(_ routes: [InterruptRoute]) throws(KVMError) {
    var table = EntryTable(
      header: MemoryLayout<kvm_irq_routing>.size, routes.map(kvm_irq_routing_entry.init))
    try file.call(.KVM_SET_GSI_ROUTING, table: &table)
  }

  public func deliver(_ message: MessageInterrupt) throws(KVMError) -> Int {
    try file.set(.KVM_SIGNAL_MSI, kvm_msi(message))
  }

  public func setBootProcessor(_ id: UInt32) throws(KVMError) {
    try file.call(.KVM_SET_BOOT_CPU_ID, UInt(id))
  }
}

extension KernelMachine: ConnectedMachine {
  public func connect(_ source: InterruptEventSource) throws(KVMError) {
    try file.set(.KVM_IRQFD, kvm_irqfd(source))
  }

  public func disconnect(_ source: InterruptEventSource) throws(KVMError) {
    try file.set(.KVM_IRQFD, kvm_irqfd(source, isDisconnecting: true))
  }

  public func connect(_ event: WriteEvent) throws(KVMError) {
    try file.set(.KVM_IOEVENTFD, kvm_ioeventfd(event))
  }

  public func disconnect(_ event: WriteEvent) throws(KVMError) {
    try file.set(.KVM_IOEVENTFD, kvm_ioeventfd(event, isDisconnecting: true))
  }

  public func connect(_ connection: HyperVConnection) throws(KVMError) {
    try file.set(.KVM_HYPERV_EVENTFD, kvm_hyperv_eventfd(connection))
  }

  public func disconnect(_ connection: HyperVConnection) throws(KVMError) {
    try file.set(.KVM_HYPERV_EVENTFD, kvm_hyperv_eventfd(connection, isDisconnecting: true))
  }

  public func coalesce(_ zone: CoalescedZone) throws(KVMError) {
    try file.set(.KVM_REGISTER_COALESCED_MMIO, kvm_coalesced_mmio_zone(zone))
  }

  public func stopCoalescing(_ zone: CoalescedZone) throws(KVMError) {
    try file.set(.KVM_UNREGISTER_COALESCED_MMIO, kvm_coalesced_mmio_zone(zone))
  }

  public func collectCoalescedWrites() throws(KVMError) -> [CoalescedWrite] {
    let page = check(.coalescedMMIO)
    return shared.withLock { shared in
      guard let area = shared.page?.area else { return [] }
      return CoalescedRing(in: area, page: page)?.collect() ?? []
    }
  }
}
