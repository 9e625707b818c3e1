internal import X86

/// An exception that was raised, or whose delivery began, when the processor's state was taken; it
/// is delivered before the next instruction.
package struct PendingException: BitwiseCopyable {
  package var vector: UInt8
  package var errorCode: UInt32?
  /// What its delivery puts in CR2 or DR6.
  package var payload: UInt64?
  /// Whether the delivery had begun.
  package var isInjected: Bool

  package init(vector: UInt8, errorCode: UInt32?, payload: UInt64? = nil, isInjected: Bool) {
    (self.vector, self.errorCode) = (vector, errorCode)
    (self.payload, self.isInjected) = (payload, isInjected)
  }
}

extension Processor {
  /// Delivers ``pendingException``, if there is one.
  func deliverPending() -> StopReason? {
    guard let pending = pendingException else { return nil }
    pendingException = nil
    if let payload = pending.payload {
      switch ExceptionVector(rawValue: pending.vector) {
      case .pageFault: cpu.cr2 = payload
      case .debug:
        cpu.debugRegisters[6] = (DebugBits.alwaysSet | payload) ^ payload & DebugBits.alwaysSet
      default: break
      }
    }
    let outcome: Outcome
    if let vector = ExceptionVector(rawValue: pending.vector) {
      outcome = deliver(
        fault: GuestFault(vector, errorCode: pending.errorCode ?? 0, address: cpu.cr2))
    } else {
      outcome = deliverOther(pending.vector, errorCode: pending.errorCode)
    }
    if case .stop(let reason) = outcome { return reason }
    return nil
  }
}
