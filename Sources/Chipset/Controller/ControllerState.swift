import DeviceModel
import KVM

/// What an ``InterruptController`` guards with its lock.
struct ControllerState: Sendable {
  var pics = PICPair()
  var pit = PIT()
  var ioapic = IOAPIC()
  var locals: [LocalAPIC] = []
  /// How each processor is told of events.
  var deliveries: [@Sendable (ProcessorEvent) -> Void] = []
  /// Local APICs alone: the 8259s and the IOAPIC are outside, and so many lines stand for its pins.
  var outsidePins: Int?
  var routes = RoutingTable()
  var addressing: MessageAddressing = []

  var picSources = LineSources<16>()
  var pinSources = LineSources<24>()
  /// How many devices have wires to each line.
  var wireCounts: [Int: Int] = [:]
  /// The lines whose eventfds are told of ends, and by whom.
  var resampled: Set<Int> = []
  var resample: @Sendable (Int) -> Void = { _ in }
  /// Who takes a synthetic interrupt, and by which vector.
  var findSynthetic: @Sendable (SyntheticInput) -> (processor: Int, vector: UInt8)? = { _ in nil }

  /// The 8259s' output when it was last carried to LINT0.
  private var local0 = false
  /// The processor after the one that took the last lowest-priority interrupt.
  var turn = 0

  mutating func reset() {
    pics.reset()
    ioapic.reset()
    pit = PIT()
    for index in locals.indices {
      var new = LocalAPIC(
        identifier: locals[index].identifier, isBootProcessor: locals[index].isBootProcessor,
        offersX2APIC: locals[index].offersX2APIC)
      new.isEndDirected = outsidePins != nil
      new.hasCorrectedCheck = locals[index].hasCorrectedCheck
      locals[index] = new
    }
    local0 = false
  }

  // MARK: The 8259s

  /// Carries the 8259s' output to LINT0 of every processor, and tells of ends.
  mutating func picChanged() {
    if outsidePins != nil { return }
    tellEnds()
    let level = pics.isPending
    let isEdge = level && !local0
    local0 = level
    guard level else { return }
    for index in locals.indices {
      if locals[index].takesExternalInterrupts {
        deliveries[index](.interrupt)
      } else if isEdge, !locals[index].takesTimerAsNonMaskable {
        // LINT0 as an ordinary input: the "virtual wire" of a fixed vector.
        perform(locals[index].raiseLocal(pin: 0), of: index)
      }
    }
  }

  private mutating func tellEnds() {
    let (ended, unmasked) = (pics.takeEnded(), pics.takeUnmasked())
    guard ended | unmasked != 0 else { return }
    for input in 0..<16 {
      let bit: UInt16 = 1 << UInt16(input)
      guard (ended | unmasked) & bit != 0, let line = routes.line(ofPIC: input) else { continue }
      if unmasked & bit != 0 { noteUnmasked(line) }
      if ended & bit != 0 { noteEnd(of: line) }
    }
  }

  // MARK: Processors

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
    if hasInterrupt(processor) { deliveries[processor](.interrupt) }
  }

  // MARK: Timers

  /// The first deadline of all timers, in nanoseconds.
  var deadline: UInt64? {
    var first = pit.deadline ?? .max
    for index in locals.indices { first = min(first, locals[index].deadline ?? .max) }
    return first == .max ? nil : first
  }

  mutating func advance(to now: UInt64) {
    if pit.advance(to: now) { tick() }
    for index in locals.indices { perform(locals[index].advance(to: now), of: index) }
  }

  /// Delivers a tick of the 8254.
  mutating func tick() {
    setLine(0, by: .timer, to: true)
    setLine(0, by: .timer, to: false)
    // The NMI watchdog of old kernels: the timer as every processor's LINT0, whatever the 8259s say.
    for index in locals.indices where locals[index].takesTimerAsNonMaskable {
      deliveries[index](.nonMaskable)
    }
  }
}

/// How messages name processors: what KVM_CAP_X2APIC_API changes.
public struct MessageAddressing: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Identifiers of 32 bits, in messages of devices and in saved states.
  public static let wide = Self(rawValue: 1 << 0)
  /// A device's 0xff names one x2APIC, not all.
  public static let noQuirk = Self(rawValue: 1 << 1)
}
