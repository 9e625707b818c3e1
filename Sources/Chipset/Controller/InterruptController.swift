public import DeviceModel
import Synchronization

/// The interrupt hardware of a PC with any number of processors: the 8259 pair, the IOAPIC, a
/// local APIC for each processor, and the 8254 that drives interrupt 0.
///
/// Every method takes the one lock and may be called on any thread. `deliver` is called with that
/// lock held: it notes the event for the processor and wakes it, and must not call back. The
/// events are `.interrupt` (a hint: ask ``acknowledge(processor:)``, which may say that nothing
/// is left), and NMI, SMI, INIT and SIPI, which are handed over for good.
public final class InterruptController: Sendable {
  let state: Mutex<ControllerState>
  let clock: any Clock
  let alarm: Alarm

  /// - Parameters:
  ///   - processors: how many; processor n has APIC ID n, and processor 0 boots.
  ///   - clock: what the timers run on.
  ///   - timers: the queue that calls the timers when they are due.
  ///   - offersX2APIC: whether CPUID shows x2APIC mode.
  ///   - deliver: tells a processor that something is pending.
  public init(
    processors: Int, clock: any Clock, timers: TimerQueue, offersX2APIC: Bool = true,
    deliver: @escaping @Sendable (_ processor: Int, _ event: ProcessorEvent) -> Void
  ) {
    precondition(processors > 0, "a machine has a processor")
    self.clock = clock
    let locals = (0..<processors).map {
      LocalAPIC(identifier: UInt32($0), isBootProcessor: $0 == 0, offersX2APIC: offersX2APIC)
    }
    state = Mutex(ControllerState(locals: locals, deliver: deliver))
    alarm = timers.makeAlarm()
    alarm.onFire { [weak self] now in self?.advance(to: now) }
  }

  /// Runs `body` with the state, then sets the alarm to the timers' first deadline.
  func withTimers<Result>(
    _ body: (inout ControllerState) -> sending Result
  ) -> sending Result {
    state.withLock { state in
      let result = body(&state)
      alarm.schedule(at: state.deadline)
      return result
    }
  }

  /// Fires the timers that are due; the timer queue calls this.
  public func advance(to now: UInt64) {
    withTimers { $0.advance(to: now) }
  }

  /// The state after power-on of everything but the levels of the lines and the time.
  public func reset() {
    withTimers { $0.reset() }
  }

  // MARK: Lines and messages

  /// Drives global system interrupt `number` by the wire that belongs to no device; without
  /// effect when there is no such line.
  public func setLine(_ number: Int, to isAsserted: Bool) {
    state.withLock { $0.setOwnWire(of: number, to: isAsserted) }
  }

  /// Delivers a message-signalled interrupt; returns whether a processor took it.
  @discardableResult
  public func signal(address: UInt64, data: UInt32) -> Bool {
    guard let message = InterruptMessage(address: address, data: data) else { return false }
    return state.withLock { $0.send(message, from: nil) }
  }

  /// Sends every processor's LINT1 an edge: what an NMI button does.
  public func pressNonMaskable() {
    state.withLock { state in
      for index in state.locals.indices {
        let action = state.locals[index].raiseLocal(pin: 1)
        state.perform(action, of: index)
      }
    }
  }

  /// Replaces where global system interrupts go.
  public func setRoutes(_ routes: [[InterruptRoute]]) {
    state.withLock { $0.setRoutes(routes) }
  }

  // MARK: A processor's side

  /// Whether the processor would get an interrupt if it asked.
  public func hasInterrupt(processor: Int) -> Bool {
    state.withLock { $0.hasInterrupt(processor) }
  }

  /// The vector of the interrupt to take now, moved into service; `nil` when there is none.
  public func acknowledge(processor: Int) -> UInt8? {
    state.withLock { $0.acknowledge(processor) }
  }

  /// CR8 of the processor, 0 to 15.
  public func taskPriority(processor: Int) -> UInt8 {
    state.withLock { $0.locals[processor].taskPriority }
  }

  public func setTaskPriority(_ priority: UInt8, processor: Int) {
    state.withLock { state in
      state.locals[processor].taskPriority = priority
      state.announce(processor)
    }
  }

  /// Resets the processor's local APIC, as INIT does; call it when the processor takes INIT.
  public func initialize(processor: Int) {
    withTimers { $0.locals[processor].reset() }
  }

  /// Raises the performance-counter interrupt of a processor.
  public func raisePerformanceInterrupt(processor: Int) {
    state.withLock { state in
      let action = state.locals[processor].raisePerformanceInterrupt()
      state.perform(action, of: processor)
    }
  }
}

/// Where an interrupt line leads.
public enum InterruptRoute: Hashable, Sendable {
  /// An input of the 8259 pair, 0 to 15.
  case pic(Int)
  /// A pin of the IOAPIC, 0 to 23.
  case ioapic(Int)
  /// A message, sent when the line rises.
  case message(address: UInt64, data: UInt32)

  /// The PC's wiring: 0 to 15 go to the 8259s and the IOAPIC, the timer's to pin 2; the rest
  /// to the IOAPIC alone.
  public static let standard: [[InterruptRoute]] = (0..<IOAPIC.pinCount).map { number in
    switch number {
    case 0: [.pic(0), .ioapic(2)]
    // The 8259s' input 2 is the cascade, and pin 2 is the timer's.
    case 2: []
    case 1, 3..<16: [.pic(number), .ioapic(number)]
    default: [.ioapic(number)]
    }
  }
}

extension InterruptController: InterruptLines {
  public func line(_ number: Int) -> any InterruptLine {
    let wire = state.withLock { $0.addWire(to: number) }
    return ControllerLine(controller: self, wire: wire)
  }

  /// One wire to the controller.
  private struct ControllerLine: InterruptLine {
    let controller: InterruptController
    let wire: Int

    func set(_ isAsserted: Bool) {
      controller.state.withLock { $0.setWire(wire, to: isAsserted) }
    }
  }
}
