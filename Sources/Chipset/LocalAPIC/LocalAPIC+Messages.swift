extension LocalAPIC {
  /// Sends what the low half of the interrupt command register says.
  mutating func command(_ value: UInt32) -> APICAction {
    // Delivery is immediate: the delivery status never reads as pending.
    self[.commandLow] = value & ~0x1000
    let isAsserted = value >> 14 & 1 != 0
    guard let mode = DeliveryMode(rawValue: UInt8(value >> 8 & 7)), mode != .external else {
      return .none
    }
    let isLevel = value >> 15 & 1 != 0
    // INIT level de-assert only resynchronised the APICs of the time before the local ones.
    if mode == .initialize, isLevel, !isAsserted { return .none }
    let high = self[.commandHigh]
    var message = InterruptMessage(
      vector: UInt8(value & 0xff), mode: mode, isLevel: false,
      destination: isX2APIC ? high : high >> 24, isLogical: value >> 11 & 1 != 0)
    message.isFromProcessor = true
    message.shorthand = InterruptMessage.Shorthand(rawValue: UInt8(value >> 18 & 3)) ?? .none
    return checked(message)
  }

  /// The action that sends `message`, if its vector may be sent.
  mutating func checked(_ message: InterruptMessage) -> APICAction {
    if message.mode == .fixed || message.mode == .lowestPriority, message.vector < 16 {
      raise(.sentIllegalVector)
      return .none
    }
    return .send(message)
  }

  /// Whether this APIC is one that `message`, sent without shorthand, is for.
  ///
  /// `hasWideBroadcast` says that 0xff from a device names one x2APIC, not all: what
  /// KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK asks for.
  /// Reference: SDM vol. 3A, sections 11.6.2 and 11.12.10.
  public func matches(_ message: InterruptMessage, hasWideBroadcast: Bool = false) -> Bool {
    guard isPresent else { return false }
    let destination = message.destination
    if isX2APIC {
      let isQuirk = destination == 0xff && !message.isFromProcessor && !hasWideBroadcast
      if isQuirk || destination == .max { return true }
      guard message.isLogical else { return destination == identifier }
      let logical = self[.logicalDestination]
      return logical >> 16 == destination >> 16 && logical & destination & 0xffff != 0
    }
    if destination == 0xff { return true }
    guard message.isLogical else {
      // An identifier too large for its register can be named in full all the same.
      return destination == self[.identifier] >> 24
        || identifier > 0xff && destination == identifier
    }
    return matchesLogical(destination)
  }

  private func matchesLogical(_ destination: UInt32) -> Bool {
    guard destination <= 0xff else { return false }
    let own = self[.logicalDestination] >> 24
    switch self[.destinationFormat] >> 28 {
    case 0xf: return own & destination != 0
    case 0x0:
      let cluster = destination >> 4
      return (cluster == 0xf || cluster == own >> 4) && own & destination & 0xf != 0
    default: return false
    }
  }
}
