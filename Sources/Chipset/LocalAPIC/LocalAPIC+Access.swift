public import DeviceModel

extension LocalAPIC {
  /// What the guest reads in the xAPIC page; registers are 32 bits wide at multiples of 16.
  public mutating func read(_ offset: UInt64, width: AccessWidth, now: UInt64) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<UInt64(width.bytes) {
      let address = UInt32(truncatingIfNeeded: (offset &+ index) & 0xfff)
      guard address & 0xf < 4 else { continue }
      let word = readRegister(address & ~0xf, now: now) ?? 0
      value |= UInt64(word >> (8 * (address & 3)) & 0xff) << (8 * index)
    }
    return value
  }

  /// Takes a write to the xAPIC page; anything but an aligned 32-bit one has no effect.
  public mutating func write(
    _ value: UInt64, to offset: UInt64, width: AccessWidth, now: UInt64
  ) -> APICAction {
    guard offset & 0xf == 0, width == .double || width == .quad,
      let register = self.register(at: UInt32(truncatingIfNeeded: offset & 0xfff))
    else { return .none }
    return write(UInt32(truncatingIfNeeded: value), to: register, now: now)
  }

  /// The x2APIC register with model-specific number 0x800 + `number`; `nil` raises #GP.
  public mutating func readModelSpecific(_ number: UInt32, now: UInt64) -> UInt64? {
    guard isX2APIC, let register = self.register(at: number &<< 4) else { return nil }
    switch register {
    case .arbitrationPriority, .remoteRead, .destinationFormat, .endOfInterrupt, .commandHigh,
      .selfInterrupt:
      return nil
    case .commandLow:
      return UInt64(self[.commandHigh]) << 32 | UInt64(self[.commandLow])
    default: return readRegister(number &<< 4, now: now).map(UInt64.init)
    }
  }

  /// Writes an x2APIC register; `nil` raises #GP.
  public mutating func writeModelSpecific(
    _ number: UInt32, value: UInt64, now: UInt64
  ) -> APICAction? {
    guard isX2APIC, let register = self.register(at: number &<< 4) else { return nil }
    let low = UInt32(truncatingIfNeeded: value)
    if register == .commandLow {
      guard low & Self.reservedCommandBits == 0 else { return nil }
      self[.commandHigh] = UInt32(truncatingIfNeeded: value >> 32)
      return write(low, to: .commandLow, now: now)
    }
    guard value >> 32 == 0 else { return nil }
    return writeExtended(low, to: register, now: now)
  }

  /// What x2APIC mode faults on in the interrupt command register.
  private static let reservedCommandBits: UInt32 = 0xfff3_2000

  private mutating func writeExtended(
    _ low: UInt32, to register: APICRegister, now: UInt64
  ) -> APICAction? {
    switch register {
    case .endOfInterrupt, .errorStatus:
      return low == 0 ? write(low, to: register, now: now) : nil
    case .taskPriority:
      return low <= 0xff ? write(low, to: register, now: now) : nil
    case .spuriousVector:
      // Linux sets bit 9, which turned off focus checking when that existed.
      return low & ~(0x3ff | SpuriousVector.suppressesEnds) == 0
        ? write(low, to: register, now: now) : nil
    case .divide:
      return low & ~0xb == 0 ? write(low, to: register, now: now) : nil
    case .selfInterrupt:
      guard low <= 0xff else { return nil }
      var message = InterruptMessage(
        vector: UInt8(low), mode: .fixed, isLevel: false, destination: 0, isLogical: false)
      message.shorthand = .itself
      message.isFromProcessor = true
      return checked(message)
    case .timer, .thermal, .performance, .correctedCheck, .local0, .local1, .error, .initialCount:
      // Reserved bits are dropped, the delivery status among them.
      return write(low, to: register, now: now)
    case .identifier, .version, .arbitrationPriority, .processorPriority, .remoteRead,
      .logicalDestination, .destinationFormat, .inService, .triggerMode, .interruptRequest,
      .commandLow, .commandHigh, .currentCount:
      return nil
    }
  }

  /// Whether a write to the register at this offset may make the APIC take what it did not.
  static func affectsAcceptance(_ offset: UInt64) -> Bool {
    offset == 0x20 || offset == 0xf0 || offset == 0xd0 || offset == 0xe0
  }

  /// The register at an offset, unless this APIC lacks it.
  private func register(at offset: UInt32) -> APICRegister? {
    let register = APICRegister(offset: offset)
    return register == .correctedCheck && !hasCorrectedCheck ? nil : register
  }

  /// What the register at a multiple of 16 holds; `nil` where there is none.
  private func readRegister(_ offset: UInt32, now: UInt64) -> UInt32? {
    guard let register = self.register(at: offset) else { return nil }
    return switch register {
    case .processorPriority, .arbitrationPriority: UInt32(processorPriority)
    case .currentCount: currentCount(now: now)
    case .endOfInterrupt, .selfInterrupt, .remoteRead: 0
    default: words[Int(offset >> 4)]
    }
  }

  /// Writes a register, whichever way it is reached.
  private mutating func write(
    _ value: UInt32, to register: APICRegister, now: UInt64
  ) -> APICAction {
    switch register {
    case .taskPriority: self[.taskPriority] = value & 0xff
    case .endOfInterrupt: return endInterrupt()
    case .logicalDestination: if !isX2APIC { self[.logicalDestination] = value & 0xff00_0000 }
    case .destinationFormat: if !isX2APIC { self[.destinationFormat] = value | 0x0fff_ffff }
    case .spuriousVector: setSpuriousVector(value)
    case .errorStatus: latchErrors()
    case .commandLow: return command(value)
    case .commandHigh: if !isX2APIC { self[.commandHigh] = value & 0xff00_0000 }
    case .timer: setTimerVector(value, now: now)
    case .thermal, .performance, .correctedCheck, .local0, .local1, .error:
      setVector(value, of: register)
    case .initialCount: setInitialCount(value, now: now)
    case .divide: setDivide(value & 0xb, now: now)
    case .identifier: if !isX2APIC { self[.identifier] = value & 0xff00_0000 }
    case .selfInterrupt, .version, .arbitrationPriority, .processorPriority,
      .remoteRead, .inService, .triggerMode, .interruptRequest, .currentCount:
      break
    }
    return .none
  }

  /// Writes a local vector table entry; it stays masked while the APIC is disabled.
  mutating func setVector(_ value: UInt32, of register: APICRegister) {
    guard let mask = register.vectorTableMask else { return }
    let forced = self[.spuriousVector] & 0x100 == 0 ? LocalVector.masked : 0
    self[register] = value & mask | forced
  }

  private mutating func setSpuriousVector(_ value: UInt32) {
    self[.spuriousVector] = value & spuriousMask
    guard value & 0x100 == 0 else { return }
    for index in APICRegister.vectorTable.indices {
      self[APICRegister.vectorTable[index]] |= LocalVector.masked
    }
    if hasCorrectedCheck { self[.correctedCheck] |= LocalVector.masked }
  }

  private var spuriousMask: UInt32 {
    self[.version] & Self.canSuppressEnds != 0 ? 0x3ff | SpuriousVector.suppressesEnds : 0x3ff
  }

  /// Makes the errors since the last write readable.
  private mutating func latchErrors() {
    self[.errorStatus] = errors
    errors = 0
  }

  /// Writes IA32_APIC_BASE; returns `false` for a change of mode or bits that raises #GP.
  ///
  /// A restored state may change the mode in ways that software cannot.
  public mutating func setBase(_ value: UInt64, isRestored: Bool = false) -> Bool {
    guard value & APICBase.reserved == 0 else { return false }
    let (old, new) = (base, value)
    let isEnabled = new & APICBase.enabled != 0
    if new & APICBase.extended != 0 {
      // x2APIC mode is entered from xAPIC mode only.
      guard isEnabled, offersX2APIC, old & APICBase.enabled != 0 || isRestored else {
        return false
      }
    } else if isEnabled, old & APICBase.extended != 0, !isRestored {
      return false
    }
    base = new
    if (old ^ new) & APICBase.enabled != 0 { reset() }
    if (old ^ new) & APICBase.extended != 0 { setIdentifier() }
    return true
  }
}
