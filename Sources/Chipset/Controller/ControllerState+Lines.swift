import KVM

/// Lines, and what becomes of them at the controllers.
extension ControllerState {
  /// Drives a line along all its routes.
  ///
  /// Returns how many took the interrupt, 0 when it was lost in one that waits already, -1 when it
  /// was masked or there is no such line. `wantsStatus` keeps the clock's interrupt (8) to one at a
  /// time, so that whoever makes lost ticks up knows of them.
  @discardableResult
  mutating func setLine(
    _ line: Int, by source: LineSource, to isAsserted: Bool, wantsStatus: Bool = false
  ) -> Int {
    var result = -1
    for destination in routes[line] {
      let taken: Int
      switch destination {
      case .pin(.ioAPIC, let pin):
        let level = pinSources.drive(Int(pin), by: source, to: isAsserted)
        taken = setPin(Int(pin), to: level, wantsStatus: wantsStatus)
      case .pin(let chip, let pin):
        let input = Int(pin) + (chip == .secondaryPIC ? 8 : 0)
        let level = picSources.drive(input, by: source, to: isAsserted)
        taken = pics.setLine(input, to: level)
        picChanged()
      case .message(let message): taken = isAsserted ? deliver(message) ?? -1 : -1
      case .hyperV(let processor, let source):
        taken = isAsserted ? raise(SyntheticInput(processor: processor, source: source)) : -1
      }
      if taken >= 0 { result = max(result, 0) + taken }
    }
    return result
  }

  /// Sends a device's message; returns how many took it, `nil` when it is none of the APICs'.
  mutating func deliver(_ message: MessageInterrupt) -> Int? {
    let message = InterruptMessage(
      address: message.address, data: message.data, isExtended: addressing.contains(.wide))
    return message.map { send($0, from: nil) }
  }

  private mutating func setPin(_ pin: Int, to isAsserted: Bool, wantsStatus: Bool) -> Int {
    if pin == Self.clockPin, wantsStatus, isAsserted, isClockUnfinished { return 0 }
    return switch ioapic.setLine(pin, to: isAsserted) {
    case .fallen: 1
    case .coalesced: 0
    case .asks: sendMessage(of: pin)
    }
  }

  private static let clockPin = 8

  /// Whether some processor has not ended the clock's last interrupt yet.
  private var isClockUnfinished: Bool {
    let vector = UInt8(ioapic.entries[Self.clockPin] & 0xff)
    return locals.contains { $0.isUnfinished(vector) }
  }

  /// Sends what IOAPIC pins have to send.
  mutating func sendMessages(of pins: UInt32) {
    if pins == 0 { return }
    for pin in 0..<IOAPIC.pinCount where pins >> UInt32(pin) & 1 != 0 { sendMessage(of: pin) }
  }

  /// Returns how many took the pin's message, -1 when it sends none.
  @discardableResult
  private mutating func sendMessage(of pin: Int) -> Int {
    guard let message = ioapic.message(of: pin) else { return -1 }
    let taken = send(message, from: nil)
    ioapic.delivered(pin, isTaken: taken > 0)
    return taken
  }

  /// A write to the IOAPIC's window.
  mutating func wrote(_ effect: IOAPIC.Effect) {
    for pin in 0..<IOAPIC.pinCount where effect.unmasked >> UInt32(pin) & 1 != 0 {
      if let line = routes.line(ofPin: pin) { noteUnmasked(line) }
    }
    sendMessages(of: effect.ready)
  }

  // MARK: Ends

  /// Takes a processor's end of an interrupt.
  mutating func endInterrupt(_ vector: UInt8, isLevel: Bool, by processor: Int) {
    if locals[processor].reported.contains(vector) {
      deliveries[processor](.endOfSynthetic(vector: vector))
    }
    if let outsidePins {
      if isLevel, isOutside(vector, pins: outsidePins, processor: processor) {
        deliveries[processor](.endOfInterrupt(vector: vector))
      }
      return
    }
    let pins = ioapic.pins(of: vector)
    guard pins != 0 else { return }
    for pin in 0..<IOAPIC.pinCount where pins >> UInt32(pin) & 1 != 0 {
      if let line = routes.line(ofPin: pin) { noteEnd(of: line) }
    }
    if isLevel { sendMessages(of: ioapic.endOfInterrupt(pins: pins)) }
  }

  /// Whether a pin of the IOAPIC outside sends this vector to the processor.
  private func isOutside(_ vector: UInt8, pins: Int, processor: Int) -> Bool {
    for line in 0..<min(pins, routes.count) {
      guard case .message(let route)? = routes[line].first,
        let message = InterruptMessage(
          address: route.address, data: route.data, isExtended: addressing.contains(.wide)),
        message.vector == vector, message.isLevel
      else { continue }
      if isMeant(processor, by: message, from: nil) { return true }
    }
    return false
  }

  /// Tells those who wait for the end of a line's interrupt.
  mutating func noteEnd(of line: Int) {
    if line == 0, pit.ended() { tick() }
    if resampled.contains(line) {
      setLine(line, by: .resampler, to: false)
      resample(line)
    }
  }

  /// Ticks that came while nobody listened are not made up for.
  mutating func noteUnmasked(_ line: Int) {
    if line == 0 { pit.forgetMissed() }
  }
}
