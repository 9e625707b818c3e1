import KVM

/// The machine-check registers of one processor: none until the program asks for some.
///
/// Reference: SDM vol. 3B, section 16.3.
struct MachineCheckBanks {
  /// IA32_MCG_CAP: bits 0 to 7 count the banks.
  private(set) var capabilities: UInt64 = 0
  private var status: UInt64 = 0
  private var control: UInt64 = 0
  /// IA32_MCi_CTL, _STATUS, _ADDR and _MISC of each bank.
  private var registers: [UInt64] = []
  /// IA32_MCi_CTL2 of each: whether and when its corrected checks raise an interrupt.
  private var corrected: [UInt64] = []

  static let controlPresent: UInt64 = 1 << 8
  static let correctedPresent: UInt64 = 1 << 10
  static let softwareRecovery: UInt64 = 1 << 24
  /// What a program can ask for, beside the number of banks.
  static let supported = controlPresent | correctedPresent | softwareRecovery
  static let bankLimit: UInt64 = 32

  private static let (capabilityNumber, statusNumber): (UInt32, UInt32) = (0x179, 0x17a)
  private static let controlNumber: UInt32 = 0x17b
  private static let firstBank: UInt32 = 0x400
  private static let firstCorrected: UInt32 = 0x280
  /// IA32_MCi_CTL2: the interrupt is on; after how many checks.
  private static let (correctedOn, threshold): (UInt64, UInt64) = (1 << 30, 0x7fff)

  /// Sets the number of banks and what they can do; false for what cannot be.
  mutating func setUp(_ capabilities: UInt64) -> Bool {
    let banks = capabilities & 0xff
    // Bits 16 to 23 count extended registers, of which KVM takes any number.
    guard (1...Self.bankLimit).contains(banks),
      capabilities & ~(Self.supported | 0xff | 0xff_0000) == 0
    else { return false }
    self.capabilities = capabilities
    if capabilities & Self.controlPresent != 0 { control = .max }
    registers = (0..<Int(banks)).flatMap { _ in [UInt64.max, 0, 0, 0] }
    corrected = .init(repeating: 0, count: Int(banks))
    return true
  }

  /// Whether corrected checks can raise interrupts.
  var hasCorrected: Bool { capabilities & Self.correctedPresent != 0 }

  /// Whether the guest has a register, if it is one of a bank's for corrected checks.
  func offers(_ number: UInt32) -> Bool { hasCorrected || correctedBank(number) == nil }

  /// `nil` for a number that is not of a machine-check register.
  func read(_ number: UInt32) -> UInt64? {
    switch number {
    case Self.capabilityNumber: capabilities
    case Self.statusNumber: status
    case Self.controlNumber: control
    default:
      bank(number).map { registers[$0] } ?? correctedBank(number).map { corrected[$0] }
    }
  }

  /// Whether the register takes the value; `nil` for a number that is not of one.
  mutating func write(_ number: UInt32, _ value: UInt64, byHost: Bool) -> Bool? {
    switch number {
    case Self.capabilityNumber: return byHost
    case Self.statusNumber: status = value
    case Self.controlNumber:
      guard byHost || value == 0 || value == .max else { return false }
      control = value
    case _ where correctedBank(number) != nil:
      guard hasCorrected || byHost && value == 0, let index = correctedBank(number),
        value & ~(Self.correctedOn | Self.threshold) == 0
      else { return false }
      corrected[index] = value
    default:
      guard let index = bank(number) else { return nil }
      // All errors of a bank are switched on or off; but kernels spare bits 0 and 10, and may. A
      // guest can only clear the status.
      let isTaken: Bool =
        switch index % 4 {
        case 0: value == 0 || value | 1 << 10 | 1 == .max
        case 1: byHost || value == 0
        default: true
        }
      guard isTaken else { return false }
      registers[index] = value
    }
    return true
  }

  private func bank(_ number: UInt32) -> Int? {
    guard number >= Self.firstBank, number - Self.firstBank < registers.count else { return nil }
    return Int(number - Self.firstBank)
  }

  private func correctedBank(_ number: UInt32) -> Int? {
    guard number >= Self.firstCorrected, number - Self.firstCorrected < corrected.count else {
      return nil
    }
    return Int(number - Self.firstCorrected)
  }

  /// What reporting a check comes to.
  enum Report { case refused, noted, raisesInterrupt, raisesException }

  /// KVM_X86_SET_MCE. An uncorrected error is lost where the guest has it masked.
  mutating func report(_ check: MachineCheck, canRaise: Bool) -> Report {
    let index = Int(check.bank) * 4
    let (valid, uncorrected, overflow): (UInt64, UInt64, UInt64) = (1 << 63, 1 << 61, 1 << 62)
    guard index < registers.count, check.status & valid != 0 else { return .refused }
    if check.needsNoAction { return note(check, at: index) }
    let isUncorrected = check.status & uncorrected != 0
    let isMasked =
      capabilities & Self.controlPresent != 0 && control != .max || registers[index] != .max
    if isUncorrected && isMasked { return .noted }
    var value = check.status
    let old = registers[index + 1]
    if isUncorrected {
      // A check within a check ends the machine.
      guard status & 4 == 0, canRaise else { return .raisesException }
      if old & valid != 0 { value |= overflow }
      status = check.globalStatus
    } else if old & valid != 0 && old & uncorrected != 0 {
      registers[index + 1] |= overflow
      return .noted
    } else if old & valid != 0 {
      value |= overflow
    }
    (registers[index + 1], registers[index + 2]) = (value, check.address)
    registers[index + 3] = check.miscellaneous
    return isUncorrected ? .raisesException : .noted
  }

  private mutating func note(_ check: MachineCheck, at index: Int) -> Report {
    (registers[index + 1], registers[index + 2]) = (check.status, check.address)
    registers[index + 3] = check.miscellaneous
    status = check.globalStatus
    return hasCorrected && corrected[index / 4] & Self.correctedOn != 0
      ? .raisesInterrupt : .noted
  }
}

extension MachineCheck {
  /// Whether it is uncorrected, and nothing is lost yet: the processor's context is intact, nothing
  /// was signalled, no action is required.
  fileprivate var needsNoAction: Bool {
    let (uncorrected, urgent): (UInt64, UInt64) = (1 << 61, 7 << 55)
    return globalStatus == 0 && status & uncorrected != 0 && status & urgent == 0
  }
}
