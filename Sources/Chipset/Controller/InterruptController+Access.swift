public import DeviceModel

/// The guest's ways in: ports, memory and model-specific registers.
extension InterruptController {
  /// Attaches all that has one place in the machine: the 8259s and their edge/level registers,
  /// the 8254 and port 0x61, and the IOAPIC's window.
  ///
  /// The local APICs' pages are each processor's own: see ``readLocal(_:width:processor:)``.
  public func attach(ports: Bus, memory: Bus) throws(AttachError) {
    try attachPIC("pic", at: 0x20..<0x22, to: ports)
    try attachPIC("pic", at: 0xa0..<0xa2, to: ports)
    try attachPIC("elcr", at: 0x4d0..<0x4d2, to: ports)
    let pit = FunctionSlot(
      read: { [weak self] offset, _ in UInt64(self?.readPIT(offset) ?? 0xff) },
      write: { [weak self] value, offset, _ in
        self?.writePIT(UInt8(truncatingIfNeeded: value), to: offset)
      })
    try ports.attach(ByteSlot(pit), named: "pit", at: 0x40..<0x44)
    let speaker = FunctionSlot(
      read: { [weak self] _, _ in UInt64(self?.readSystemControl() ?? 0xff) },
      write: { [weak self] value, _, _ in
        self?.writeSystemControl(UInt8(truncatingIfNeeded: value))
      })
    try ports.attach(ByteSlot(speaker), named: "speaker", at: 0x61..<0x62)
    let ioapic = FunctionSlot(
      read: { [weak self] offset, width in
        self?.state.withLock { $0.ioapic.read(offset, width: width) } ?? width.mask
      },
      write: { [weak self] value, offset, width in
        self?.state.withLock { state in
          state.sendMessages(of: state.ioapic.write(value, to: offset, width: width))
        }
      })
    try memory.attach(
      ioapic, named: "ioapic", at: IOAPIC.address..<IOAPIC.address + IOAPIC.size)
  }

  private func attachPIC(
    _ name: String, at range: Range<UInt64>, to ports: Bus
  ) throws(AttachError) {
    let base = UInt16(truncatingIfNeeded: range.lowerBound)
    let slot = FunctionSlot(
      read: { [weak self] offset, _ in
        UInt64(self?.readPIC(base &+ UInt16(truncatingIfNeeded: offset)) ?? 0xff)
      },
      write: { [weak self] value, offset, _ in
        let port = base &+ UInt16(truncatingIfNeeded: offset)
        self?.writePIC(UInt8(truncatingIfNeeded: value), to: port)
      })
    try ports.attach(ByteSlot(slot), named: name, at: range)
  }

  private func readPIC(_ port: UInt16) -> UInt8 {
    state.withLock { state in
      // A poll acknowledges, so that the output may change even here.
      defer { state.picChanged() }
      return state.pics.read(port: port)
    }
  }

  private func writePIC(_ value: UInt8, to port: UInt16) {
    state.withLock { state in
      state.pics.write(value, toPort: port)
      state.picChanged()
    }
  }

  private func readPIT(_ offset: UInt64) -> UInt8 {
    let now = clock.now
    return state.withLock { $0.pit.read(offset, now: now) }
  }

  private func writePIT(_ value: UInt8, to offset: UInt64) {
    let now = clock.now
    withTimers { $0.pit.write(value, to: offset, now: now) }
  }

  private func readSystemControl() -> UInt8 {
    let now = clock.now
    return state.withLock { $0.pit.readSystemControl(now: now) }
  }

  private func writeSystemControl(_ value: UInt8) {
    let now = clock.now
    state.withLock { $0.pit.writeSystemControl(value, now: now) }
  }

  // MARK: Local APICs

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
    case 0x1b: return withTimers { $0.setBase(value, of: processor) }
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

  /// The processor's registers as KVM_GET_LAPIC gives them.
  public func localState(processor: Int) -> [UInt8] {
    let now = clock.now
    return state.withLock { $0.locals[processor].state(now: now) }
  }

  /// Takes registers as KVM_SET_LAPIC gives them; `false` for a wrong size.
  public func restoreLocal(_ bytes: [UInt8], processor: Int) -> Bool {
    let now = clock.now
    return withTimers { state in
      let isRestored = state.locals[processor].restore(bytes, now: now)
      state.announce(processor)
      return isRestored
    }
  }
}
