import DeviceModel

/// What an ``InterruptController`` guards with its lock.
struct ControllerState: Sendable {
  var pics = PICPair()
  var pit = PIT()
  var ioapic = IOAPIC()
  var locals: [LocalAPIC]
  private let deliver: @Sendable (Int, ProcessorEvent) -> Void

  /// A wire's end: the line it belongs to and its level. The first ones are the lines' own.
  private struct Wire {
    let number: Int
    var isAsserted = false
  }
  private var wires: [Wire]
  /// How many wires of each line are asserted.
  private var asserted: [Int]
  private var routes: [[InterruptRoute]] = InterruptRoute.standard
  /// The 8259s' output when LINT0 was last driven.
  private var local0 = false
  /// The processor after the one that took the last lowest-priority interrupt.
  private var turn = 0

  init(locals: [LocalAPIC], deliver: @escaping @Sendable (Int, ProcessorEvent) -> Void) {
    self.locals = locals
    self.deliver = deliver
    wires = (0..<InterruptRoute.standard.count).map { Wire(number: $0) }
    asserted = Array(repeating: 0, count: InterruptRoute.standard.count)
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
    while asserted.count <= number { asserted.append(0) }
  }

  mutating func setRoutes(_ new: [[InterruptRoute]]) {
    routes = new
    makeLines(through: new.count - 1)
  }

  /// Drives a wire; its line follows the first to rise and the last to fall.
  mutating func setWire(_ wire: Int, to isAsserted: Bool) {
    guard wires.indices.contains(wire), wires[wire].isAsserted != isAsserted else { return }
    wires[wire].isAsserted = isAsserted
    let number = wires[wire].number
    asserted[number] += isAsserted ? 1 : -1
    if asserted[number] == (isAsserted ? 1 : 0) { setLine(number, to: isAsserted) }
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
    setWire(number, to: true)
    setWire(number, to: false)
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
