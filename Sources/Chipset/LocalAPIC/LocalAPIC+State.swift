/// Saving and restoring: `kvm_lapic_state`, the first KiB of the register page.
extension LocalAPIC {
  public static let stateSize = 1024

  /// The registers as KVM_GET_LAPIC gives them; little-endian words, one for each 16 bytes.
  public func state(now: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.stateSize)
    var copy = self
    copy[.processorPriority] = UInt32(processorPriority)
    copy[.currentCount] = currentCount(now: now)
    for index in 0..<64 {
      let word = copy.words[index]
      for byte in 0..<4 {
        bytes[index * 16 + byte] = UInt8(truncatingIfNeeded: word >> UInt32(8 * byte))
      }
    }
    return bytes
  }

  /// Takes registers as KVM_SET_LAPIC gives them; set the base and mode before, and
  /// IA32_TSC_DEADLINE after. Returns `false` when there are not ``stateSize`` bytes.
  public mutating func restore(_ bytes: [UInt8], now: UInt64) -> Bool {
    guard bytes.count == Self.stateSize else { return false }
    for index in 0..<64 {
      words[index] = (0..<4).reduce(0) { $0 | UInt32(bytes[index * 16 + $1]) << UInt32(8 * $1) }
    }
    // What is not software's to choose.
    self[.version] = 0x0005_0014
    if isX2APIC { setIdentifier() } else { self[.identifier] = identifier << 24 }
    self[.spuriousVector] &= 0x3ff
    self[.taskPriority] &= 0xff
    self[.divide] &= 0xb
    for index in APICRegister.vectorTable.indices {
      let register = APICRegister.vectorTable[index]
      setVector(self[register], of: register)
    }
    // Vectors below 16 cannot be pending or in service.
    for register in [APICRegister.inService, .triggerMode, .interruptRequest] {
      self[register] &= 0xffff_0000
    }
    errors = 0
    timer = APICTimer()
    startTimer(remaining: self[.currentCount], now: now)
    self[.currentCount] = 0
    return true
  }
}
