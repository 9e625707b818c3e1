public import DeviceModel

/// The guest's ways in: ports and memory.
extension InterruptController {
  /// Attaches the 8259s with their edge/level registers, and the IOAPIC's window.
  ///
  /// The local APICs' pages are each processor's own: see ``readLocal(_:width:processor:)``.
  public func attach(ports: Bus, memory: Bus) throws(AttachError) {
    try attachPIC("pic", at: 0x20..<0x22, to: ports)
    try attachPIC("pic", at: 0xa0..<0xa2, to: ports)
    try attachPIC("elcr", at: 0x4d0..<0x4d2, to: ports)
    let ioapic = FunctionSlot(
      read: { [weak self] offset, width in
        self?.state.withLock { $0.ioapic.read(offset, width: width) } ?? width.mask
      },
      write: { [weak self] value, offset, width in
        self?.state.withLock { state in
          state.wrote(state.ioapic.write(value, to: offset, width: width))
        }
      })
    try memory.attach(
      ioapic, named: "ioapic", at: IOAPIC.address..<IOAPIC.address + IOAPIC.size)
  }

  /// Attaches the 8254, and port 0x61 if `hasSpeaker`.
  public func attachTimer(ports: Bus, hasSpeaker: Bool = true) throws(AttachError) {
    let pit = FunctionSlot(
      read: { [weak self] offset, _ in UInt64(self?.readPIT(offset) ?? 0xff) },
      write: { [weak self] value, offset, _ in
        self?.writePIT(UInt8(truncatingIfNeeded: value), to: offset)
      })
    try ports.attach(ByteSlot(pit), named: "pit", at: 0x40..<0x44)
    guard hasSpeaker else { return }
    let speaker = FunctionSlot(
      read: { [weak self] _, _ in UInt64(self?.readSystemControl() ?? 0xff) },
      write: { [weak self] value, _, _ in
        self?.writeSystemControl(UInt8(truncatingIfNeeded: value))
      })
    try ports.attach(ByteSlot(speaker), named: "speaker", at: 0x61..<0x62)
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
}
