extension LocalAPIC {
  /// Takes a fixed interrupt; one that is requested already stays one.
  public mutating func accept(vector: UInt8, isLevel: Bool) {
    guard isEnabled else { return }
    guard vector >= 16 else {
      raise(.receivedIllegalVector)
      return
    }
    setBit(vector, in: .interruptRequest, to: true)
    setBit(vector, in: .triggerMode, to: isLevel)
  }

  /// The vector to take next: the highest requested one above the processor's priority.
  public var pendingVector: UInt8? {
    // Interrupts accepted while the APIC was enabled stay requested; a disabled one holds them.
    guard isEnabled, let vector = highest(.interruptRequest) else { return nil }
    return vector >> 4 > processorPriority >> 4 ? vector : nil
  }

  /// Whether the interrupt is requested or in service: accepted, and not ended.
  func isUnfinished(_ vector: UInt8) -> Bool {
    bit(vector, in: .interruptRequest) || bit(vector, in: .inService)
  }

  /// Moves the pending vector into service and returns it.
  public mutating func acknowledge() -> UInt8? {
    guard let vector = pendingVector else { return nil }
    setBit(vector, in: .interruptRequest, to: false)
    setBit(vector, in: .inService, to: !endedAtOnce.contains(vector))
    return vector
  }

  /// The priority below which interrupts wait: the task's or that of the one in service.
  public var processorPriority: UInt8 {
    let task = UInt8(self[.taskPriority] & 0xff)
    let service = highest(.inService) ?? 0
    return task >> 4 >= service >> 4 ? task : service & 0xf0
  }

  /// CR8: the upper half of the task priority, 0 to 15.
  public var taskPriority: UInt8 {
    get { UInt8(self[.taskPriority] >> 4 & 0xf) }
    set { self[.taskPriority] = UInt32(newValue & 0xf) << 4 }
  }

  /// Ends the interrupt in service with the highest priority.
  mutating func endInterrupt() -> APICAction {
    guard let vector = highest(.inService) else { return .none }
    setBit(vector, in: .inService, to: false)
    // With ends suppressed, software tells the IOAPIC itself.
    let isSuppressed = self[.spuriousVector] & SpuriousVector.suppressesEnds != 0
    return .endOfInterrupt(
      vector, isLevel: bit(vector, in: .triggerMode) && !isSuppressed)
  }

  /// Delivers what an entry of the local vector table says.
  mutating func deliverLocal(_ register: APICRegister) -> APICAction {
    let entry = self[register]
    guard isPresent, entry & LocalVector.masked == 0 else { return .none }
    let vector = UInt8(entry & 0xff)
    // The timer and error entries have no delivery mode: they are fixed.
    let hasMode = register != .timer && register != .error
    switch hasMode ? DeliveryMode(rawValue: UInt8(entry >> 8 & 7)) : .fixed {
    case .fixed?:
      accept(vector: vector, isLevel: false)
      return .local(.interrupt)
    case .nonMaskable?: return .local(.nonMaskable)
    case .systemManagement?: return .local(.systemManagement)
    case .initialize?: return .local(.initialize)
    case .external?: return .local(.interrupt)
    case .lowestPriority?, .startup?, nil: return .none
    }
  }

  /// A rising edge on the pin LINT0 (`pin` 0) or LINT1.
  public mutating func raiseLocal(pin: Int) -> APICAction {
    deliverLocal(pin == 0 ? .local0 : .local1)
  }

  /// An event of the thermal sensor or the performance counters.
  public mutating func raisePerformanceInterrupt() -> APICAction {
    let action = deliverLocal(.performance)
    // Hardware masks the entry when it delivers; the handler unmasks it.
    if action != .none { self[.performance] |= LocalVector.masked }
    return action
  }

  /// A machine check was corrected, and the guest wants to hear of it.
  public mutating func raiseCorrectedCheck() -> APICAction {
    hasCorrectedCheck ? deliverLocal(.correctedCheck) : .none
  }

  /// Whether an interrupt of the 8259 reaches the processor: LINT0 says ExtINT, or no APIC is on.
  public var takesExternalInterrupts: Bool {
    guard isPresent else { return true }
    let entry = self[.local0]
    return entry & LocalVector.masked == 0
      && entry >> 8 & 7 == UInt32(DeliveryMode.external.rawValue)
  }

  /// Whether LINT0 is an NMI, as kernels have it who use the timer for a watchdog.
  var takesTimerAsNonMaskable: Bool {
    let entry = self[.local0]
    return isPresent && entry & LocalVector.masked == 0
      && entry >> 8 & 7 == UInt32(DeliveryMode.nonMaskable.rawValue)
  }

  // MARK: Sets of vectors

  /// The highest vector in one of the 256-bit registers.
  func highest(_ register: APICRegister) -> UInt8? {
    let first = Int(register.rawValue >> 4)
    for index in stride(from: 7, through: 0, by: -1) where words[first + index] != 0 {
      return UInt8(index * 32 + 31 - words[first + index].leadingZeroBitCount)
    }
    return nil
  }

  func bit(_ vector: UInt8, in register: APICRegister) -> Bool {
    words[Int(register.rawValue >> 4) + Int(vector >> 5)] >> UInt32(vector & 31) & 1 != 0
  }

  mutating func setBit(_ vector: UInt8, in register: APICRegister, to isSet: Bool) {
    let index = Int(register.rawValue >> 4) + Int(vector >> 5)
    let mask: UInt32 = 1 << UInt32(vector & 31)
    words[index] = isSet ? words[index] | mask : words[index] & ~mask
  }

  // MARK: Errors

  /// Bits of the error status register. Reference: SDM vol. 3A, section 11.5.3.
  enum APICError: UInt32 {
    case sentIllegalVector = 0x20
    case receivedIllegalVector = 0x40
  }

  /// Notes an error and raises the error interrupt when it is new.
  mutating func raise(_ error: APICError) {
    guard errors & error.rawValue == 0 else { return }
    errors |= error.rawValue
    // Illegal vectors in the error entry itself must not come back here.
    if self[.error] & 0xff >= 16 { _ = deliverLocal(.error) }
  }
}
