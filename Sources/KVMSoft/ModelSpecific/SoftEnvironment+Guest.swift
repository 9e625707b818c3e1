import Engine
import KVM

/// What the guest's own instructions ask, where whoever runs it may have a say.
extension SoftEnvironment {
  func readForGuest(_ number: UInt32, _ read: () -> UInt64?) -> UInt64? {
    let isOffered = offers(number) && !isHidden(number)
    if machine.ignoresModelSpecific { return isOffered ? read() : nil }
    let isAllowed = machine.allows(number, isWrite: false)
    if isAllowed, isOffered, let value = read() { return value }
    let reason = exitReason(number, isAllowed)
    guard let relay, machine.exits(for: reason) else { return nil }
    return relay.leave(.modelSpecificRead(number, reason: reason), value: 0)
  }

  func writeForGuest(_ number: UInt32, _ value: UInt64, _ write: () -> Bool) -> Bool {
    let isOffered = offers(number) && !isFixedForGuest(number, value)
    if machine.ignoresModelSpecific { return isOffered && write() }
    let isAllowed = machine.allows(number, isWrite: true)
    if isAllowed && isOffered && write() { return true }
    let reason = exitReason(number, isAllowed)
    guard let relay, machine.exits(for: reason) else { return false }
    let exit = Exit.modelSpecificWrite(number, value: value, reason: reason)
    return relay.leave(exit, value: value) != nil
  }

  /// Why an access that fails does so.
  private func exitReason(_ number: UInt32, _ isAllowed: Bool) -> ModelSpecificExitReason {
    let isKnown = processor?.modelSpecific(number) != nil
    return !isAllowed ? .filtered : isKnown ? .invalid : .unknown
  }

  /// Whether the guest has a register, as far as CPUID and capabilities decide that.
  private func offers(_ number: UInt32) -> Bool {
    offersParavirtual(number) && offersMitigation(number) && offersHyperV(number)
      && machineCheck.offers(number)
  }

  /// Whether the guest has one of KVM's own registers.
  private func offersParavirtual(_ number: UInt32) -> Bool {
    guard enforcesFeatures, let bit = ModelSpecificNumber.features[number] else { return true }
    return offersFeature(bit)
  }

  /// Whether the guest has one of the features of leaf 4000_0001, by its bit.
  private func offersFeature(_ bit: UInt32) -> Bool {
    !enforcesFeatures || identity.paravirtualFeatures >> bit & 1 != 0
  }

  /// Whether the guest cannot read a register that it has: SMBASE, commands, what its machine hides.
  private func isHidden(_ number: UInt32) -> Bool {
    switch number {
    case ModelSpecificNumber.managementBase, ModelSpecificNumber.predictionCommand,
      ModelSpecificNumber.flushCommand:
      true
    case ModelSpecificNumber.platformInformation: machine.argument(of: .msrPlatformInfo) == 0
    default: false
    }
  }

  /// Whether CPUID offers what a register controls, for those of speculative execution.
  private func offersMitigation(_ number: UInt32) -> Bool {
    switch number {
    case ModelSpecificNumber.speculationControl:
      (identity[7, 0].edx & 0x8c00_0000) | (identity[0x8000_0008, 0].ebx & 0x100_c000) != 0
    case ModelSpecificNumber.predictionCommand:
      (identity[7, 0].edx & 1 << 26) | (identity[0x8000_0008, 0].ebx & 1 << 12) != 0
    case ModelSpecificNumber.flushCommand: identity[7, 0].edx & 1 << 28 != 0
    default: true
    }
  }

  /// Whether only whoever runs the guest may write a register, or its bits that would change.
  private func isFixedForGuest(_ number: UInt32, _ value: UInt64) -> Bool {
    switch number {
    case ModelSpecificNumber.platformInformation, ModelSpecificNumber.managementBase: true
    case ModelSpecificNumber.miscellaneousEnable:
      ((models.read(number) ?? 0) ^ value) & ModelSpecificNumber.monitoringBits != 0
    default: false
    }
  }

  var stopsAtUnreachableCode: Bool { machine.has(.exitOnEmulationFailure) }

  var mendsHypercalls: Bool { machine.has(.mendsHypercalls) }

  var offersMonitor: Bool {
    machine.has(.monitorAlways) || identify(leaf: 1, subleaf: 0).ecx >> 3 & 1 != 0
  }

  func identify(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    var answer = identity[leaf, subleaf]
    // The local APIC is there while it is enabled.
    if leaf == 1, apicBase >> 11 & 1 == 0 { answer.edx &= ~(1 << 9) }
    if leaf == 1, !machine.has(.monitorWhateverEnabled) {
      let enabled = models.read(ModelSpecificNumber.miscellaneousEnable) ?? 0
      answer.ecx &= ~(1 << 3)
      answer.ecx |= UInt32(enabled >> ModelSpecificNumber.monitorBit & 1) << 3
    }
    return answer
  }

  /// Reference: Documentation/virt/kvm/x86/hypercalls.rst.
  func hypercall(_ call: Engine.Hypercall) -> UInt64? {
    if takesHyperVCalls { return hyperVCall() }
    guard call.privilege == 0 else { return HypercallResult.notPermitted }
    switch call.number {
    case HypercallNumber.pollInterrupts: return 0
    // Processors are threads: there is nobody in particular to make way for.
    case HypercallNumber.yield: return offersFeature(13) ? 0 : HypercallResult.unknown
    case HypercallNumber.mapPages:
      let isWanted = (machine.argument(of: .exitHypercall) ?? 0) >> call.number & 1 != 0
      guard isWanted, let relay, let processor else { return HypercallResult.unknown }
      var arguments = FixedArray<6, UInt64>(repeating: 0)
      for index in 0..<4 { arguments[index] = call.arguments[index] }
      let exit = KVM.Hypercall(
        number: call.number, arguments: arguments, isLongMode: processor.cpu.is64Bit)
      return relay.leave(.hypercall(exit), value: 0)
    default: return HypercallResult.unknown
    }
  }
}

private enum HypercallNumber {
  static let pollInterrupts: UInt64 = 1
  static let yield: UInt64 = 11
  static let mapPages: UInt64 = 12
}

private enum ModelSpecificNumber {
  /// MSR_PLATFORM_INFO
  static let platformInformation: UInt32 = 0xce
  /// IA32_SPEC_CTRL, IA32_PRED_CMD and IA32_FLUSH_CMD
  static let speculationControl: UInt32 = 0x48
  static let predictionCommand: UInt32 = 0x49
  static let flushCommand: UInt32 = 0x10b
  /// IA32_SMBASE
  static let managementBase: UInt32 = 0x9e
  /// IA32_MISC_ENABLE, and its bit that enables MONITOR.
  static let miscellaneousEnable: UInt32 = 0x1a0
  static let monitorBit: UInt64 = 18
  /// KVM's own registers, with the bits that CPUID has for them.
  static let features: [UInt32: UInt32] = [
    0x11: 0, 0x12: 0, 0x4b56_4d00: 3, 0x4b56_4d01: 3, 0x4b56_4d02: 4, 0x4b56_4d03: 5,
    0x4b56_4d04: 6, 0x4b56_4d05: 12, 0x4b56_4d06: 14, 0x4b56_4d07: 14,
  ]
  /// That there is no branch trace store and no precise sampling.
  static let monitoringBits: UInt64 = 0x1800
}

private enum HypercallResult {
  static let notPermitted = UInt64(bitPattern: -1)
  static let unknown = UInt64(bitPattern: -1000)
}
