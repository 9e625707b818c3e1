public import KVM

/// Saving and restoring, as KVM's calls have it.
extension InterruptController {
  /// A controller's registers (KVM_GET_IRQCHIP).
  public func state(of chip: InterruptChip) -> InterruptChipState {
    state.withLock { state in
      switch chip {
      case .primaryPIC: .primaryPIC(state.pics.state(isSecond: false))
      case .secondaryPIC: .secondaryPIC(state.pics.state(isSecond: true))
      case .ioAPIC: .ioAPIC(state.ioapic.state)
      }
    }
  }

  /// Takes a controller's registers (KVM_SET_IRQCHIP).
  public func restore(_ chip: InterruptChipState) {
    state.withLock { state in
      switch chip {
      case .primaryPIC(let registers): state.pics.restore(registers, isSecond: false)
      case .secondaryPIC(let registers): state.pics.restore(registers, isSecond: true)
      case .ioAPIC(let registers):
        let asking = state.ioapic.restore(registers)
        for pin in 0..<IOAPIC.pinCount where asking >> UInt32(pin) & 1 != 0 {
          _ = state.ioapic.setLine(pin, to: true)
        }
        state.sendMessages(of: asking)
      }
      state.picChanged()
    }
  }

  /// The 8254 (KVM_GET_PIT2).
  public var intervalTimer: IntervalTimerState {
    let now = clock.now
    return state.withLock { $0.pit.state(now: now) }
  }

  /// Takes the 8254's state (KVM_SET_PIT2).
  public func restore(_ timer: IntervalTimerState) {
    let now = clock.now
    withTimers { $0.pit.restore(timer, now: now) }
  }

  /// Whether ticks of the 8254 that the guest missed are made up for (KVM_REINJECT_CONTROL).
  public var reinjectsTicks: Bool {
    get { state.withLock { $0.pit.reinjection != nil } }
    set {
      state.withLock { state in
        guard newValue != (state.pit.reinjection != nil) else { return }
        state.pit.reinjection = newValue ? PIT.Reinjection() : nil
      }
    }
  }

  /// The processor's registers (KVM_GET_LAPIC).
  public func localState(processor: Int) -> LocalAPICState {
    let now = clock.now
    return state.withLock {
      $0.locals[processor].state(now: now, isExtended: $0.addressing.contains(.wide))
    }
  }

  /// Takes a processor's registers (KVM_SET_LAPIC); `false` for another processor's identifier,
  /// where that tells.
  public func restoreLocal(_ registers: LocalAPICState, processor: Int) -> Bool {
    let now = clock.now
    return withTimers { state in
      let isRestored = state.locals[processor].restore(
        registers, now: now, isExtended: state.addressing.contains(.wide))
      state.announce(processor)
      return isRestored
    }
  }

  /// Sets IA32_APIC_BASE of a saved processor, in whatever mode it was; `false` for bits that
  /// cannot be.
  public func restoreBase(_ value: UInt64, processor: Int) -> Bool {
    withTimers { $0.setBase(value, of: processor, isRestored: true) }
  }
}
