public import DeviceModel

/// A processor's side: interrupts to take, and its local APIC.
extension InterruptController {
  /// Whether the processor would get an interrupt if it asked.
  public func hasInterrupt(processor: Int) -> Bool {
    state.withLock { $0.hasInterrupt(processor) }
  }

  /// The vector of the interrupt to take now, moved into service; `nil` when there is none.
  public func acknowledge(processor: Int) -> UInt8? {
    state.withLock { $0.acknowledge(processor) }
  }

  /// Whether an 8259's interrupt reaches the processor: LINT0 says so, or its APIC is off.
  public func takesExternalInterrupts(processor: Int) -> Bool {
    state.withLock { $0.locals[processor].takesExternalInterrupts }
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

  /// Raises the interrupt for a processor's corrected machine check.
  public func raiseCorrectedCheck(processor: Int) {
    state.withLock { state in
      let action = state.locals[processor].raiseCorrectedCheck()
      state.perform(action, of: processor)
    }
  }

  /// Sets whether a processor can be told of corrected machine checks (IA32_MCG_CAP).
  public func setHasCorrectedCheck(_ hasIt: Bool, processor: Int) {
    state.withLock { $0.locals[processor].hasCorrectedCheck = hasIt }
  }

  /// Sets whether CPUID shows the processor that it has x2APIC mode.
  public func setOffersX2APIC(_ isOffered: Bool, processor: Int) {
    state.withLock { $0.locals[processor].offersX2APIC = isOffered }
  }

  /// The guest-physical address of the processor's APIC page; `nil` when it has none now.
  public func localPage(processor: Int) -> UInt64? {
    state.withLock { $0.locals[processor].page }
  }

  /// What the processor reads at `offset` in its APIC page.
  public func readLocal(_ offset: UInt64, width: AccessWidth, processor: Int) -> UInt64 {
    // Asking the time costs more than all the rest; only the current count needs it.
    let now = (0x384..<0x394).contains(offset) ? clock.now : 0
    return state.withLock { $0.locals[processor].read(offset, width: width, now: now) }
  }

  /// Takes what the processor writes at `offset` in its APIC page.
  public func writeLocal(
    _ value: UInt64, to offset: UInt64, width: AccessWidth, processor: Int
  ) {
    guard LocalAPIC.affectsTimer(offset) else {
      state.withLock { $0.writeLocal(value, to: offset, width: width, of: processor, now: 0) }
      return
    }
    let now = clock.now
    withTimers { $0.writeLocal(value, to: offset, width: width, of: processor, now: now) }
  }

  /// A model-specific register of the local APIC: IA32_APIC_BASE (0x1b), IA32_TSC_DEADLINE
  /// (0x6e0) or the x2APIC's (0x800 to 0x8ff); `nil` raises #GP.
  public func readModelSpecific(_ number: UInt32, processor: Int) -> UInt64? {
    let now = number == 0x839 ? clock.now : 0
    return state.withLock { state in
      switch number {
      case 0x1b: state.locals[processor].base
      case 0x6e0: state.locals[processor].timestampDeadline
      case 0x800...0x8ff:
        state.locals[processor].readModelSpecific(number - 0x800, now: now)
      default: nil
      }
    }
  }

  /// Writes one of the registers above; returns `false` to raise #GP.
  ///
  /// - Parameters:
  ///   - timestamp: the processor's time-stamp counter now, as the guest reads it, and its
  ///     rate in kHz; asked for only when the register is IA32_TSC_DEADLINE.
  public func writeModelSpecific(
    _ number: UInt32, value: UInt64, processor: Int,
    timestamp: () -> (counter: UInt64, kilohertz: UInt64)
  ) -> Bool {
    switch number {
    case 0x1b: return withTimers { $0.setBase(value, of: processor, isRestored: false) }
    case 0x6e0:
      let instant = instant(timestamp())
      withTimers { $0.locals[processor].setTimestampDeadline(value, at: instant) }
      return true
    case 0x800...0x8ff:
      let index = number - 0x800
      guard LocalAPIC.affectsTimer(UInt64(index) << 4) else {
        return state.withLock { $0.writeModelSpecific(index, value, of: processor, now: 0) }
      }
      let now = clock.now
      return withTimers { $0.writeModelSpecific(index, value, of: processor, now: now) }
    default: return false
    }
  }

  /// Takes over that the processor's time-stamp counter was written, or runs at another rate.
  public func timestampChanged(
    processor: Int, to timestamp: (counter: UInt64, kilohertz: UInt64)
  ) {
    let instant = instant(timestamp)
    withTimers { $0.locals[processor].timestampChanged(at: instant) }
  }

  private func instant(_ timestamp: (counter: UInt64, kilohertz: UInt64)) -> Instant {
    Instant(
      nanoseconds: clock.now, timestamp: timestamp.counter, kilohertz: timestamp.kilohertz)
  }
}
