internal import CLinux
public import KVM
import KVMABI

extension KernelMachine: InterruptibleMachine {
  public func makeSplitInterruptController(lines: Int) throws(KVMError) {
    try enable(.splitIrqchip, [UInt64(lines), 0, 0, 0])
  }

  public func state(of chip: InterruptChip) throws(KVMError) -> InterruptChipState {
    var values = apus_irqchip(chip)
    try file.call(.KVM_GET_IRQCHIP, with: &values)
    guard let state = InterruptChipState(values) else {
      throw .unsupported("The kernel answered for another interrupt controller.")
    }
    return state
  }

  public func setState(_ state: InterruptChipState) throws(KVMError) {
    var values = apus_irqchip(state)
    try file.call(.KVM_SET_IRQCHIP, with: &values)
  }

  public func setInterruptStatus(_ line: UInt32, active: Bool) throws(KVMError) -> Int {
    var level = kvm_irq_level()
    level.irq = line
    level.level = active ? 1 : 0
    try file.call(.KVM_IRQ_LINE_STATUS, with: &level)
    return Int(level.status)
  }

  public func setRoutes(_ routes: [InterruptRoute]) throws(KVMError) {
    var table = EntryTable(
      header: MemoryLayout<kvm_irq_routing>.size, routes.map(kvm_irq_routing_entry.init))
    try file.call(.KVM_SET_GSI_ROUTING, table: &table)
  }

  public func deliver(_ message: MessageInterrupt) throws(KVMError) -> Int {
    var request = kvm_msi(message)
    return try file.call(.KVM_SIGNAL_MSI, with: &request)
  }

  public func setBootProcessor(_ id: UInt32) throws(KVMError) {
    try file.call(.KVM_SET_BOOT_CPU_ID, UInt(id))
  }
}

extension KernelMachine: ConnectedMachine {
  public func connect(_ source: InterruptEventSource) throws(KVMError) {
    var request = kvm_irqfd(source)
    try file.call(.KVM_IRQFD, with: &request)
  }

  public func disconnect(_ source: InterruptEventSource) throws(KVMError) {
    var request = kvm_irqfd(source, isDisconnecting: true)
    try file.call(.KVM_IRQFD, with: &request)
  }

  public func connect(_ event: WriteEvent) throws(KVMError) {
    var request = kvm_ioeventfd(event)
    try file.call(.KVM_IOEVENTFD, with: &request)
  }

  public func disconnect(_ event: WriteEvent) throws(KVMError) {
    var request = kvm_ioeventfd(event, isDisconnecting: true)
    try file.call(.KVM_IOEVENTFD, with: &request)
  }

  public func coalesce(_ zone: CoalescedZone) throws(KVMError) {
    var request = kvm_coalesced_mmio_zone(zone)
    try file.call(.KVM_REGISTER_COALESCED_MMIO, with: &request)
  }

  public func stopCoalescing(_ zone: CoalescedZone) throws(KVMError) {
    var request = kvm_coalesced_mmio_zone(zone)
    try file.call(.KVM_UNREGISTER_COALESCED_MMIO, with: &request)
  }

  public func collectCoalescedWrites() throws(KVMError) -> [CoalescedWrite] {
    let page = check(.coalescedMMIO)
    return shared.withLock { shared in
      guard let area = shared.page?.area else { return [] }
      return CoalescedRing(in: area, page: page)?.collect() ?? []
    }
  }
}
