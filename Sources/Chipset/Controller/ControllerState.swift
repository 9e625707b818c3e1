import DeviceModel

/// What an ``InterruptController`` guards with its lock.
struct ControllerState: Sendable {
  var pics = PICPair()
  var pit = PIT()
  var ioapic = IOAPIC()
  var locals: [LocalAPIC]
  private let deliver: @Sendable (Int, ProcessorEvent) -> Void

  /// A wire's end: the line it belongs to and its level.
  private struct Wire {
    let number: Int
    var isAsserted = false
  }
  private var wires: [Wire] = []
  /// For each line: the wire that belongs to no device, and how many wires are asserted.
  private var lines: [(own: Int, asserted: Int)] = []
  private var routes: [[InterruptRoute]] = InterruptRoute.standard
  /// The 8259s' output when LINT0 was last driven.
  private var local0 = false
  /// The processor after the one that took the last lowest-priority interrupt.
  private var turn = 0

  init(locals: [LocalAPIC], deliver: @escaping @Sendable (Int, ProcessorEvent) -> Void) {
    self.locals = locals
    self.deliver = deliver
    makeLines(through: InterruptRoute.standard.count - 1)
  }

  mutating func reset() {
    pics.reset()
    ioapic.reset()
    pit = PIT()
    for index in locals.indices {
      locals[index] = LocalAPIC(
        identifier: locals[index].identifier, isBootProcessor: locals[index].isBootProcessor,
        offersX2APIC: locals[index].offersX2APIC)
    }
    local0 = false
  }

  // MARK: Lines

  mutating func addWire(to number: Int) -> Int {
    precondition(number >= 0, "interrupt lines count from zero")
    makeLines(through: number)
    wires.append(Wire(number: number))
    return wires.count - 1
  }

  private mutating func makeLines(through number: Int) {
    while lines.count <= number {
      lines.append((own: wires.count, asserted: 0))
      wires.append(Wire(number: lines.count - 1))
    }
  }

  mutating func setRoutes(_ new: [[InterruptRoute]]) {
    routes = new
    makeLines(through: new.count - 1)
  }

  /// Drives a line's own wire; lines that are not there have none.
  mutating func setOwnWire(of number: Int, to isAsserted: Bool) {
    if lines.indices.contains(number) { setWire(lines[number].own, to: isAsserted) }
  }

  /// Drives a wire; its line follows the first to rise and the last to fall.
  mutating func setWire(_ wire: Int, to isAsserted: Bool) {
    guard wires.indices.contains(wire), wires[wire].isAsserted != isAsserted else { return }
    wires[wire].isAsserted = isAsserted
    let number = wires[wire].number
    lines[number].asserted += isAsserted ? 1 : -1
    if lines[number].asserted == (isAsserted ? 1 : 0) { setLine(number, to: isAsserted) }
  }

  /// Drives a line along all its routes.
  private mutating func setLine(_ number: Int, to isAsserted: Bool) {
    guard number < routes.count else { return }
    for index in routes[number].indices {
      switch routes[number][index] {
      case .pic(let input):
        pics.setLine(input, to: isAsserted)
        picChanged()
      case .ioapic(let pin):
        if ioapic.setLine(pin, to: isAsserted) { sendMessage(of: pin) }
      case .message(let address, let data):
        guard isAsserted, let message = InterruptMessage(address: address, data: data) else {
          continue
        }
        send(message, from: nil)
      }
    }
  }

  private mutating func pulse(_ number: Int) {
    setOwnWire(of: number, to: true)
    setOwnWire(of: number, to: false)
  }

  /// Sends what IOAPIC pins have to send.
  mutating func sendMessages(of pins: UInt32) {
    for pin in 0..<IOAPIC.pinCount where pins >> UInt32(pin) & 1 != 0 { sendMessage(of: pin) }
  }

  private mutating func sendMessage(of pin: Int) {
    guard let message = ioapic.message(of: pin) else { return }
    if send(message, from: nil) { ioapic.delivered(pin) }
  }

  // MARK: Processors

  /// Carries the 8259s' output to LINT0 of every processor.
  mutating func picChanged() {
    let level = pics.isPending
    let isEdge = level && !local0
    local0 = level
    guard level else { return }
    for index in locals.indices {
      if locals[index].takesExternalInterrupts {
        deliver(index, .interrupt)
      } else if isEdge {
        // LINT0 as an ordinary input: the "virtual wire" of a fixed vector, or an NMI.
        perform(locals[index].raiseLocal(pin: 0), of: index)
      }
    }
  }

  func hasInterrupt(_ processor: Int) -> Bool {
    if pics.isPending, locals[processor].takesExternalInterrupts { return true }
    return locals[processor].pendingVector != nil
  }

  mutating func acknowledge(_ processor: Int) -> UInt8? {
    if pics.isPending, locals[processor].takesExternalInterrupts {
      let vector = pics.acknowledge()
      picChanged()
      return vector
    }
    return locals[processor].acknowledge()
  }

  /// Tells a processor if it has an interrupt to take.
  func announce(_ processor: Int) {
    if hasInterrupt(processor) { deliver(processor, .interrupt) }
  }

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
  mutating func setBase(_ value: UInt64, of processor: Int) -> Bool {
    guard locals[processor].setBase(value) else { return false }
    sendMessages(of: ioapic.assertedLevels)
    announce(processor)
    return true
  }

  /// Does what a local APIC asked for.
  mutating func perform(_ action: APICAction, of processor: Int) {
    switch action {
    case .none: break
    case .send(let message): send(message, from: processor)
    case .endOfInterrupt(let vector): sendMessages(of: ioapic.endOfInterrupt(vector))
    case .local(.interrupt): announce(processor)
    case .local(let event): deliver(processor, event)
    }
  }

  /// Delivers a message; returns whether any processor took it.
  @discardableResult
  mutating func send(_ message: InterruptMessage, from sender: Int?) -> Bool {
    if message.mode == .lowestPriority {
      guard let target = lowest(for: message, from: sender) else { return false }
      take(message, by: target)
      return true
    }
    var isTaken = false
    for index in locals.indices where isMeant(index, by: message, from: sender) {
      if take(message, by: index) { isTaken = true }
    }
    return isTaken
  }

  private func isMeant(_ index: Int, by message: InterruptMessage, from sender: Int?) -> Bool {
    switch message.shorthand {
    case .none: locals[index].matches(message)
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
    case .nonMaskable: deliver(processor, .nonMaskable)
    case .systemManagement: deliver(processor, .systemManagement)
    case .initialize: deliver(processor, .initialize)
    case .startup: deliver(processor, .startup(vector: message.vector))
    }
    return true
  }

  // MARK: Timers

  /// The first deadline of all timers, in nanoseconds.
  var deadline: UInt64? {
    var first = pit.deadline ?? .max
    for index in locals.indices { first = min(first, locals[index].deadline ?? .max) }
    return first == .max ? nil : first
  }

  mutating func advance(to now: UInt64) {
    if pit.advance(to: now) { pulse(0) }
    for index in locals.indices { perform(locals[index].advance(to: now), of: index) }
  }
}
