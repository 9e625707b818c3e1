internal import CLinux
internal import X86

/// Numbers of the model-specific registers that the processor keeps itself.
///
/// Reference: SDM vol. 4.
enum ModelSpecificRegister: UInt32 {
  case timeStamp = 0x10
  case managementBase = 0x9e
  case sysenterCS = 0x174
  case sysenterESP = 0x175
  case sysenterEIP = 0x176
  case pageAttributes = 0x277
  case extendedSupervisorState = 0xda0
  case extendedFeatures = 0xc000_0080
  case star = 0xc000_0081
  case longStar = 0xc000_0082
  case compatibilityStar = 0xc000_0083
  case systemCallMask = 0xc000_0084
  case fsBase = 0xc000_0100
  case gsBase = 0xc000_0101
  case kernelGSBase = 0xc000_0102
  case timeStampAux = 0xc000_0103
}

extension Processor {
  /// The time-stamp counter as the guest sees it.
  package var timeStamp: UInt64 { scaledTimeStamp &+ cpu.timeStampOffset }

  /// The host's time-stamp counter at the guest's rate.
  private var scaledTimeStamp: UInt64 { scaled(apus_read_time_stamp()) }

  /// What the guest sees, or saw, when the host's counter has a value.
  package func timeStamp(atHost host: UInt64) -> UInt64 { scaled(host) &+ cpu.timeStampOffset }

  private func scaled(_ host: UInt64) -> UInt64 {
    guard run.timeStampScale != 1 << 48 else { return host }
    let product = host.multipliedFullWidth(by: run.timeStampScale)
    return product.high << 16 | product.low >> 48
  }

  /// The guest's time-stamp counter per tick of the host's, times 2^48.
  package var timeStampScale: UInt64 {
    get { run.timeStampScale }
    set { run.timeStampScale = newValue }
  }

  func readModelSpecific() throws(GuestFault) -> Outcome {
    try requireSupervisor()
    let number = UInt32(truncatingIfNeeded: cpu.registers[1])
    profile?.note(.readRegister(number))
    guard let value = outside({ environment.readForGuest(number) { modelSpecific(number) } }) else {
      throw .protection
    }
    setRegister(0, size: 4, value)
    setRegister(2, size: 4, value &>> 32)
    return .next
  }

  func writeModelSpecific() throws(GuestFault) -> Outcome {
    try requireSupervisor()
    let number = UInt32(truncatingIfNeeded: cpu.registers[1])
    let value = register(0, size: 4) | register(2, size: 4) &<< 32
    profile?.note(.writeRegister(number))
    guard outside({ environment.writeForGuest(number, value) { setModelSpecific(number, value) } })
    else {
      throw .protection
    }
    return number == ModelSpecificRegister.extendedFeatures.rawValue ? .nextInNewMode : .next
  }

  /// A model-specific register's value; `nil` where there is none.
  package func modelSpecific(_ number: UInt32) -> UInt64? {
    guard let register = ModelSpecificRegister(rawValue: number) else {
      return outside { environment.readModelSpecific(number) }
    }
    return switch register {
    case .timeStamp: timeStamp
    case .managementBase: cpu.managementBase
    case .sysenterCS: cpu.sysenterCS
    case .sysenterESP: cpu.sysenterESP
    case .sysenterEIP: cpu.sysenterEIP
    case .pageAttributes: cpu.pageAttributes
    case .extendedSupervisorState: cpu.extendedSupervisorState
    case .extendedFeatures: cpu.efer.rawValue
    case .star: cpu.star
    case .longStar: cpu.longStar
    case .compatibilityStar: cpu.compatibilityStar
    case .systemCallMask: cpu.systemCallMask
    case .fsBase: cpu[.fs].base
    case .gsBase: cpu[.gs].base
    case .kernelGSBase: cpu.kernelGSBase
    case .timeStampAux: cpu.timeStampAux
    }
  }

  /// Sets a model-specific register as WRMSR does; false where that is #GP.
  package func setModelSpecific(_ number: UInt32, _ value: UInt64) -> Bool {
    guard let register = ModelSpecificRegister(rawValue: number) else {
      return outside { environment.writeModelSpecific(number, value: value) }
    }
    switch register {
    case .timeStamp:
      cpu.timeStampOffset = value &- scaledTimeStamp
      outside { environment.timeStampChanged() }
    case .managementBase: cpu.managementBase = value
    case .sysenterCS: cpu.sysenterCS = value
    case .pageAttributes:
      guard isPageAttributeTable(value) else { return false }
      cpu.pageAttributes = value
    case .extendedSupervisorState:
      // No supervisor component is offered.
      guard value == 0 else { return false }
      cpu.extendedSupervisorState = value
    case .extendedFeatures: return setExtendedFeatures(value)
    case .star: cpu.star = value
    case .systemCallMask: cpu.systemCallMask = value & 0xffff_ffff
    case .timeStampAux:
      guard value >> 32 == 0 else { return false }
      cpu.timeStampAux = value
    case .sysenterESP, .sysenterEIP, .longStar, .compatibilityStar, .fsBase, .gsBase,
      .kernelGSBase:
      guard value.isCanonical else { return false }
      setAddress(register, value)
    }
    return true
  }

  private func setAddress(_ register: ModelSpecificRegister, _ value: UInt64) {
    switch register {
    case .sysenterESP: cpu.sysenterESP = value
    case .sysenterEIP: cpu.sysenterEIP = value
    case .longStar: cpu.longStar = value
    case .compatibilityStar: cpu.compatibilityStar = value
    case .fsBase: cpu[.fs].base = value
    case .gsBase: cpu[.gs].base = value
    default: cpu.kernelGSBase = value
    }
  }

  /// Each of the eight bytes is one of the memory types 0, 1, 4, 5, 6, 7.
  private func isPageAttributeTable(_ value: UInt64) -> Bool {
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      switch value &>> shift & 0xff {
      case 0, 1, 4, 5, 6, 7: break
      default: return false
      }
    }
    return true
  }

  private func setExtendedFeatures(_ value: UInt64) -> Bool {
    let features = environment.identify(leaf: 0x8000_0001, subleaf: 0).edx
    // LMA reads as the processor has it, whatever is written.
    var allowed: EFER = .longModeActive
    if features >> 11 & 1 != 0 { allowed.insert(.systemCall) }
    if features >> 20 & 1 != 0 { allowed.insert(.noExecute) }
    if features >> 29 & 1 != 0 { allowed.insert(.longModeEnable) }
    var new = EFER(rawValue: value)
    guard new.isSubset(of: allowed) else { return false }
    let old = cpu.efer
    let changed = old.symmetricDifference(new)
    if changed.contains(.longModeEnable) && cpu.cr0.contains(.paging) { return false }
    new.remove(.longModeActive)
    cpu.efer = new.union(old.intersection(.longModeActive))
    if changed.contains(.noExecute) { flushAllTranslations() }
    return true
  }
}
