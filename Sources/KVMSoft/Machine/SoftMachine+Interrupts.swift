import Chipset
import Glibc
public import KVM

/// Interrupt controllers and what leads to them.
extension SoftMachine: InterruptibleMachine {
  public func makeInterruptController() throws(KVMError) {
    try makeChips(call: "KVM_CREATE_IRQCHIP", outsidePins: nil)
  }

  public func makeSplitInterruptController(lines: Int) throws(KVMError) {
    let call = "KVM_ENABLE_CAP (KVM_CAP_SPLIT_IRQCHIP)"
    guard (0...4096).contains(lines) else {
      throw .refused(call: call, errno: EINVAL)
    }
    try makeChips(call: call, outsidePins: lines)
  }

  /// Once, and before the first processor, which gets its local APIC with the others.
  private func makeChips(call: String, outsidePins: Int?) throws(KVMError) {
    guard chips.withLock({ $0 == nil }) else {
      throw .refused(call: call, errno: EEXIST)
    }
    guard processors.withLock({ $0.identifiers.isEmpty }) else {
      throw .refused(call: call, errno: EINVAL)
    }
    let made = try InterruptChips(outsidePins: outsidePins)
    interruptEvents.listen(to: made.controller)
    made.controller.onSynthetic { [weak partition] input in
      guard let target = partition?.processor(input.processor),
        let vector = target.vector(of: input.source)
      else { return nil }
      return (target.local, vector)
    }
    chips.withLock { $0 = made }
    applyAddressing()
  }

  /// The controllers, all of them in the engine; ENXIO where they are not.
  func fullChips(call: String) throws(KVMError) -> InterruptChips {
    guard let chips = chips.withLock({ $0 }), !chips.controller.isSplit else {
      throw .refused(call: call, errno: ENXIO)
    }
    return chips
  }

  public func state(of chip: InterruptChip) throws(KVMError) -> InterruptChipState {
    try fullChips(call: "KVM_GET_IRQCHIP").controller.state(of: chip)
  }

  public func setState(_ state: InterruptChipState) throws(KVMError) {
    try fullChips(call: "KVM_SET_IRQCHIP").controller.restore(state)
  }

  public func setInterrupt(_ line: UInt32, active: Bool) {
    chips.withLock { $0 }?.controller.setLine(Int(line), to: active)
  }

  public func setInterruptStatus(_ line: UInt32, active: Bool) throws(KVMError) -> Int {
    guard let chips = chips.withLock({ $0 }) else {
      throw .refused(call: "KVM_IRQ_LINE_STATUS", errno: ENXIO)
    }
    return chips.controller.setLine(Int(line), to: active, wantsStatus: true)
  }

  public func setRoutes(_ routes: [InterruptRoute]) throws(KVMError) {
    guard let chips = chips.withLock({ $0 }), chips.controller.setRoutes(routes) else {
      throw .refused(call: "KVM_SET_GSI_ROUTING", errno: EINVAL)
    }
  }

  @discardableResult
  public func signal(_ message: MessageInterrupt) -> Bool {
    let taken = chips.withLock { $0 }?.controller.signal(message) ?? 0
    return taken > 0
  }

  public func deliver(_ message: MessageInterrupt) throws(KVMError) -> Int {
    guard let chips = chips.withLock({ $0 }) else {
      throw .refused(call: "KVM_SIGNAL_MSI", errno: EINVAL)
    }
    return chips.controller.signal(message) ?? 0
  }

  public func setBootProcessor(_ id: UInt32) throws(KVMError) {
    let isSet = processors.withLock { table in
      guard table.identifiers.isEmpty else { return false }
      table.bootProcessor = id
      return true
    }
    if !isSet { throw .refused(call: "KVM_SET_BOOT_CPU_ID", errno: EBUSY) }
  }
}
