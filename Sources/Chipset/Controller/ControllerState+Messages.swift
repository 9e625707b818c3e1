import DeviceModel

/// The processors' local APICs: what is written to them, and what they are sent.
extension ControllerState {
  /// A processor's write to its APIC's page.
  mutating func writeLocal(
    _ value: UInt64, to offset: UInt64, width: AccessWidth, of processor: Int, now: UInt64
  ) {
    let action = locals[processor].write(value, to: offset, width: width, now: now)
    finish(action, of: processor, offset: offset)
  }

  /// A processor's write to an x2APIC register; `false` raises #GP.
  mutating func writeModelSpecific(
    _ index: UInt32, _ value: UInt64, of processor: Int, now: UInt64
  ) -> Bool {
    let action = locals[processor].writeModelSpecific(index, value: value, now: now)
    guard let action else { return false }
    finish(action, of: processor, offset: UInt64(index) << 4)
    return true
  }

  /// Does what a write asked for, and lets through what it has made way for.
  private mutating func finish(_ action: APICAction, of processor: Int, offset: UInt64) {
    perform(action, of: processor)
    // Level-triggered lines go on asking until somebody takes their message.
    if LocalAPIC.affectsAcceptance(offset) { sendMessages(of: ioapic.assertedLevels) }
    // A lower priority or the end of an interrupt may let another one through.
    announce(processor)
  }

  /// Writes IA32_APIC_BASE; `false` raises #GP.
  mutating func setBase(_ value: UInt64, of processor: Int, isRestored: Bool) -> Bool {
    guard locals[processor].setBase(value, isRestored: isRestored) else { return false }
    sendMessages(of: ioapic.assertedLevels)
    announce(processor)
    return true
  }

  /// Does what a local APIC asked for.
  mutating func perform(_ action: APICAction, of processor: Int) {
    switch action {
    case .none: break
    case .send(let message): send(message, from: processor)
    case .endOfInterrupt(let vector, let isLevel):
      endInterrupt(vector, isLevel: isLevel, by: processor)
    case .local(.interrupt): announce(processor)
    case .local(let event): deliveries[processor](event)
    }
  }

  /// Delivers a message; returns how many processors took it.
  @discardableResult
  mutating func send(_ message: InterruptMessage, from sender: Int?) -> Int {
    if message.mode == .lowestPriority {
      guard let target = lowest(for: message, from: sender) else { return 0 }
      return take(message, by: target) ? 1 : 0
    }
    var taken = 0
    for index in locals.indices where isMeant(index, by: message, from: sender) {
      if take(message, by: index) { taken += 1 }
    }
    return taken
  }

  func isMeant(_ index: Int, by message: InterruptMessage, from sender: Int?) -> Bool {
    switch message.shorthand {
    case .none:
      locals[index].matches(message, hasWideBroadcast: addressing.contains(.noQuirk))
    case .itself: index == sender
    case .all: locals[index].isPresent
    case .others: index != sender && locals[index].isPresent
    }
  }

  /// The enabled processor with the lowest priority among those meant; they take turns.
  private mutating func lowest(for message: InterruptMessage, from sender: Int?) -> Int? {
    var best: Int?
    for offset in locals.indices {
      let index = (turn + offset) % locals.count
      guard locals[index].isEnabled, isMeant(index, by: message, from: sender) else { continue }
      if let known = best, locals[known].processorPriority <= locals[index].processorPriority {
        continue
      }
      best = index
    }
    if let best { turn = (best + 1) % locals.count }
    return best
  }

  @discardableResult
  private mutating func take(_ message: InterruptMessage, by processor: Int) -> Bool {
    switch message.mode {
    case .fixed, .lowestPriority:
      guard locals[processor].isEnabled else { return false }
      locals[processor].accept(vector: message.vector, isLevel: message.isLevel)
      announce(processor)
    case .external: announce(processor)
    case .nonMaskable: deliveries[processor](.nonMaskable)
    case .systemManagement: deliveries[processor](.systemManagement)
    case .initialize: deliveries[processor](.initialize)
    case .startup: deliveries[processor](.startup(vector: message.vector))
    }
    return true
  }
}
