import KVM

/// The registers of KVM's paravirtual features that need no more than to be remembered.
///
/// The guest says with them where it can be told of events; it works as well when it never is.
/// Reference: Documentation/virt/kvm/x86/msr.rst.
struct ParavirtualRegisters {
  private var asyncPageFaults: UInt64 = 0
  private var asyncPageFaultVector: UInt64 = 0
  private var endOfInterrupt: UInt64 = 0
  private var pollControl: UInt64 = 1

  private enum Number {
    static let asyncPageFaults: UInt32 = 0x4b56_4d02
    static let endOfInterrupt: UInt32 = 0x4b56_4d04
    static let pollControl: UInt32 = 0x4b56_4d05
    static let asyncPageFaultVector: UInt32 = 0x4b56_4d06
    static let asyncPageFaultTaken: UInt32 = 0x4b56_4d07
  }

  /// `nil` for a register that is none of these.
  func read(_ number: UInt32) -> UInt64? {
    switch number {
    case Number.asyncPageFaults: asyncPageFaults
    case Number.asyncPageFaultVector: asyncPageFaultVector
    case Number.asyncPageFaultTaken: 0
    case Number.endOfInterrupt: endOfInterrupt
    case Number.pollControl: pollControl
    default: nil
    }
  }

  /// `nil` for a register that is none of these, `false` for a value that cannot be.
  mutating func write(_ number: UInt32, _ value: UInt64) -> Bool? {
    switch number {
    case Number.asyncPageFaults: return store(value, in: &asyncPageFaults, reserved: 0x30)
    case Number.asyncPageFaultVector:
      return store(value, in: &asyncPageFaultVector, reserved: ~0xff)
    case Number.asyncPageFaultTaken: return true
    // Bit 0 enables it at an address that is a multiple of four.
    case Number.endOfInterrupt: return store(value, in: &endOfInterrupt, reserved: 2)
    case Number.pollControl: return store(value, in: &pollControl, reserved: ~1)
    default: return nil
    }
  }

  private func store(_ value: UInt64, in register: inout UInt64, reserved: UInt64) -> Bool {
    guard value & reserved == 0 else { return false }
    register = value
    return true
  }
}
