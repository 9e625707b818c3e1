import Chipset
import Glibc
public import KVM

extension SoftMachine: ControlledMachine {
  public func check(_ capability: Capability) -> Int {
    SoftCapabilities.answers[capability] ?? 0
  }

  public func enable(
    _ capability: Capability, _ arguments: FixedArray<4, UInt64>
  ) throws(KVMError) {
    if capability == .splitIrqchip {
      return try makeSplitInterruptController(
        lines: Int(truncatingIfNeeded: min(arguments[0], .max >> 1)))
    }
    if capability == .maxVCPUID { return try limitIdentifiers(arguments[0]) }
    if capability == .dirtyLogRing || capability == .dirtyLogRingAcquireRelease {
      return try enableDirtyRings(size: UInt32(truncatingIfNeeded: arguments[0]))
    }
    guard let allowed = allowedBits(of: capability), arguments[0] & ~allowed == 0 else {
      throw .refused(call: "KVM_ENABLE_CAP", errno: EINVAL)
    }
    settings.enable(capability, arguments[0])
    if capability == .x2APICAPI { applyAddressing() }
  }

  /// Sets the end of the processors' numbers, once.
  private func limitIdentifiers(_ limit: UInt64) throws(KVMError) {
    let isTaken = processors.withLock { table in
      guard (1...UInt64(Self.identifierLimit)).contains(limit),
        table.limit == nil || table.limit == limit
      else { return false }
      table.limit = limit
      return true
    }
    guard isTaken else { throw .refused(call: "KVM_ENABLE_CAP", errno: EINVAL) }
  }

  /// Tells the controllers how messages name processors, when there are any.
  func applyAddressing() {
    let flags = settings.argument(of: .x2APICAPI) ?? 0
    chips.withLock { $0 }?.controller.addressing = MessageAddressing(rawValue: flags)
  }

  /// The bits that the first argument may have of what it alone switches: what
  /// KVM_CHECK_EXTENSION answers, unless that says only that there is such a switch.
  private func allowedBits(of capability: Capability) -> UInt64? {
    switch capability {
    case .exceptionPayload, .x86TripleFaultEvent, .msrPlatformInfo, .disableQuirks2,
      .exitHypercall, .exitOnEmulationFailure, .x86UserSpaceMSR, .manualDirtyLogProtect2:
      UInt64(check(capability))
    case .disableQuirks: UInt64(check(.disableQuirks2))
    // KVM_X2APIC_API_USE_32BIT_IDS and _DISABLE_BROADCAST_QUIRK.
    case .x2APICAPI: 3
    default: nil
    }
  }

  public func setModelSpecificFilter(_ filter: ModelSpecificFilter) throws(KVMError) {
    settings.setFilter(filter)
  }

  /// There are none: assigned devices need the host's own KVM.
  public func canMakeDevice(type: UInt32) -> Bool { false }

  public func has(_ attribute: DeviceAttribute) -> Bool { false }

  public func statistics() throws(KVMError) -> [Statistic] {
    [
      Statistic("memory_slots", .instant, values: [UInt64(group.slotCount)]),
      Statistic("memory_slot_changes", values: [group.slotChangeCount]),
    ]
  }
}
