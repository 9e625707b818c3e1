import KVM

extension IOAPIC {
  /// What KVM_GET_IRQCHIP tells: edges sent already do not ask again after a restore.
  var state: IOAPICState {
    var state = IOAPICState()
    (state.registerSelect, state.id) = (UInt32(select), identifier >> 24)
    state.requests = lines & ~sent
    for index in entries.indices { state.redirections[index] = entries[index] }
    return state
  }

  /// Takes a saved state with its lines low; returns the pins to drive high afterwards.
  mutating func restore(_ state: IOAPICState) -> UInt32 {
    self = IOAPIC()
    select = UInt8(truncatingIfNeeded: state.registerSelect)
    identifier = (state.id & 0xf) << 24
    for index in entries.indices { entries[index] = state.redirections[index] }
    return state.requests & (1 << UInt32(Self.pinCount) - 1)
  }
}
