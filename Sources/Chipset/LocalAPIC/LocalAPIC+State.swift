public import KVM

/// Saving and restoring: `kvm_lapic_state`, the first KiB of the register page.
extension LocalAPIC {
  /// The registers as KVM_GET_LAPIC gives them.
  ///
  /// - Parameter isExtended: whether x2APIC mode shows all 32 bits of the identifier
  ///   (KVM_X2APIC_API_USE_32BIT_IDS) instead of the xAPIC's 8 in the upper ones.
  public func state(now: UInt64, isExtended: Bool = false) -> LocalAPICState {
    var copy = self
    copy[.processorPriority] = UInt32(processorPriority)
    copy[.currentCount] = currentCount(now: now)
    if isX2APIC, !isExtended { copy[.identifier] = identifier << 24 }
    var state = LocalAPICState()
    for index in copy.words.indices { state[index * 16] = copy.words[index] }
    return state
  }

  /// Takes registers as KVM_SET_LAPIC gives them; set the base and mode before, and
  /// IA32_TSC_DEADLINE after.
  ///
  /// Returns `false` for another processor's identifier, where `isExtended` tells.
  public mutating func restore(
    _ state: LocalAPICState, now: UInt64, isExtended: Bool = false
  ) -> Bool {
    if isX2APIC, isExtended, state[Int(APICRegister.identifier.rawValue)] != identifier {
      return false
    }
    for index in words.indices { words[index] = state[index * 16] }
    // What is not software's to choose.
    setVersion()
    if isX2APIC { setIdentifier() }
    self[.spuriousVector] &= 0x3ff | SpuriousVector.suppressesEnds
    self[.taskPriority] &= 0xff
    self[.divide] &= 0xb
    errors = 0
    timer = APICTimer()
    startTimer(remaining: self[.currentCount], now: now)
    self[.currentCount] = 0
    return true
  }
}
