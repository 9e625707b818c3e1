public import DeviceModel
public import KVM
import Synchronization

/// The interrupt hardware of a PC with any number of processors: the 8259 pair, the IOAPIC, a
/// local APIC for each processor, and the 8254 that drives interrupt 0; or local APICs alone.
///
/// Every method takes the one lock and may be called on any thread. Processors are named by the
/// number that ``addProcessor(identifier:isBootProcessor:deliver:)`` gave.
public final class InterruptController: Sendable {
  let state: Mutex<ControllerState>
  let clock: any Clock
  let alarm: Alarm

  /// - Parameters:
  ///   - clock: what the timers run on.
  ///   - timers: the queue that calls the timers when they are due.
  ///   - outsidePins: leaves the 8259s, the 8254 and the IOAPIC to the client (a "split"
  ///     controller); the first so many lines then stand for the outside IOAPIC's pins.
  public init(clock: any Clock, timers: TimerQueue, outsidePins: Int? = nil) {
    self.clock = clock
    var initial = ControllerState()
    initial.outsidePins = outsidePins
    if outsidePins == nil {
      initial.routes = RoutingTable(.standard, hasChips: true) ?? RoutingTable()
    }
    state = Mutex(initial)
    alarm = timers.makeAlarm()
    alarm.onFire { [weak self] now in self?.advance(to: now) }
  }

  /// Adds a processor's local APIC; returns its number.
  ///
  /// - Parameters:
  ///   - identifier: the APIC's from power-on; each has its own.
  ///   - deliver: tells the processor of an event. It is called with the controller's lock held:
  ///     it notes the event and wakes the processor, and must not call back. The events are
  ///     `.interrupt` (a hint: ask ``acknowledge(processor:)``, which may say that nothing is
  ///     left), and others, which are handed over for good.
  public func addProcessor(
    identifier: UInt32, isBootProcessor: Bool,
    deliver: @escaping @Sendable (ProcessorEvent) -> Void
  ) -> Int {
    state.withLock { state in
      var local = LocalAPIC(
        identifier: identifier, isBootProcessor: isBootProcessor, offersX2APIC: true)
      local.isEndDirected = state.outsidePins != nil
      state.locals.append(local)
      state.deliveries.append(deliver)
      return state.locals.count - 1
    }
  }

  /// Whether the 8259s, the 8254 and the IOAPIC are outside.
  public var isSplit: Bool { state.withLock { $0.outsidePins != nil } }

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

  /// Drives global system interrupt `number` by the wire that belongs to no device.
  ///
  /// - Parameter wantsStatus: an interrupt of the real-time clock (8) that comes before the last
  ///   one has ended is refused.
  /// - Returns: how many took the interrupt; 0 when it was lost in one that waits already; -1 when
  ///   it is masked, or there is no such line.
  @discardableResult
  public func setLine(_ number: Int, to isAsserted: Bool, wantsStatus: Bool = false) -> Int {
    state.withLock {
      $0.setLine(number, by: .client, to: isAsserted, wantsStatus: wantsStatus)
    }
  }

  /// Delivers a message-signalled interrupt; returns how many processors took it, `nil` when the
  /// address is not one of local APICs'.
  @discardableResult
  public func signal(_ message: MessageInterrupt) -> Int? {
    state.withLock { $0.deliver(message) }
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

  /// Replaces where lines lead; returns `false` for routes that cannot be (KVM_SET_GSI_ROUTING's
  /// EINVAL).
  public func setRoutes(_ routes: [InterruptRoute]) -> Bool {
    state.withLock { state in
      let table = RoutingTable(routes, hasChips: state.outsidePins == nil)
      guard let table else { return false }
      state.routes = table
      return true
    }
  }

  /// How messages name processors.
  public var addressing: MessageAddressing {
    get { state.withLock { $0.addressing } }
    set { state.withLock { $0.addressing = newValue } }
  }

  // MARK: Ends

  /// Sets who is told when the interrupt of a line in ``setResampled(_:line:)`` has ended; called
  /// with the lock held, so it only writes to an eventfd.
  public func onEnd(_ body: @escaping @Sendable (_ line: Int) -> Void) {
    state.withLock { $0.resample = body }
  }

  /// Raises and drops a line by the wire that belongs to no device.
  public func pulse(line: Int) {
    state.withLock { state in
      state.setLine(line, by: .client, to: true)
      state.setLine(line, by: .client, to: false)
    }
  }

  /// Starts or stops lowering a line's resampled source at ends of its interrupt.
  public func setResampled(_ isResampled: Bool, line: Int) {
    state.withLock { state in
      if isResampled {
        state.resampled.insert(line)
      } else {
        state.resampled.remove(line)
        state.setLine(line, by: .resampler, to: false)
      }
    }
  }

  /// Raises a line until its interrupt ends.
  public func raiseUntilEnd(line: Int) {
    state.withLock { _ = $0.setLine(line, by: .resampler, to: true) }
  }
}

extension InterruptController: InterruptLines {
  /// At most 61 wires for one number.
  public func line(_ number: Int) -> any InterruptLine {
    let wire = state.withLock { state in
      defer { state.wireCounts[number, default: 0] += 1 }
      return state.wireCounts[number, default: 0]
    }
    precondition(wire < LineSource.wireCount, "more devices than an interrupt line takes")
    return ControllerLine(controller: self, number: number, source: .wire(wire))
  }

  /// One wire to the controller.
  private struct ControllerLine: InterruptLine {
    let controller: InterruptController
    let number: Int
    let source: LineSource

    func set(_ isAsserted: Bool) {
      controller.state.withLock { _ = $0.setLine(number, by: source, to: isAsserted) }
    }
  }
}
