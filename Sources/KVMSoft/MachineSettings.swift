import KVM
import Synchronization

/// What of a machine's behaviour its owner has chosen, for its processors to know.
final class MachineSettings: Sendable {
  private struct State: Sendable {
    /// What was enabled with KVM_ENABLE_CAP, with the first argument.
    var capabilities: [Capability: UInt64] = [:]
    var filter: ModelSpecificFilter?
  }

  private let state = Mutex(State())
  /// Whether accesses to model-specific registers need a look at the state.
  private let concernsModelSpecific = Atomic(false)

  /// The first argument of KVM_ENABLE_CAP; `nil` where it was not called.
  func argument(of capability: Capability) -> UInt64? {
    state.withLock { $0.capabilities[capability] }
  }

  /// Whether a capability was enabled, and not disabled again.
  func has(_ capability: Capability) -> Bool { argument(of: capability) ?? 0 != 0 }

  func enable(_ capability: Capability, _ argument: UInt64) {
    state.withLock { $0.capabilities[capability] = argument }
    if capability == .x86UserSpaceMSR { concernsModelSpecific.store(true, ordering: .releasing) }
  }

  func setFilter(_ filter: ModelSpecificFilter) {
    state.withLock { $0.filter = filter }
    concernsModelSpecific.store(true, ordering: .releasing)
  }

  /// Whether a peculiarity of KVM is left on: KVM_X86_QUIRK_*.
  func has(_ quirk: Quirk) -> Bool {
    let disabled = state.withLock {
      $0.capabilities[.disableQuirks2] ?? $0.capabilities[.disableQuirks] ?? 0
    }
    return disabled & quirk.rawValue == 0
  }

  /// Whether every access is allowed, and none ends a run.
  var ignoresModelSpecific: Bool { !concernsModelSpecific.load(ordering: .acquiring) }

  /// Whether such accesses end the run.
  func exits(for reason: ModelSpecificExitReason) -> Bool {
    let wanted = argument(of: .x86UserSpaceMSR) ?? 0
    return UInt64(reason.rawValue) & wanted != 0
  }

  /// Whether the filter lets the guest use a register. Those of the x2APIC cannot be filtered.
  func allows(_ number: UInt32, isWrite: Bool) -> Bool {
    guard !(0x800...0x8ff).contains(number) else { return true }
    return state.withLock { state in
      guard let filter = state.filter else { return true }
      for range in filter.ranges where isWrite ? range.appliesToWrites : range.appliesToReads {
        let place = Int(number) - Int(range.base)
        if range.isAllowed.indices.contains(place) { return range.isAllowed[place] }
      }
      return filter.isAllowedByDefault
    }
  }
}

/// Peculiarities that KVM keeps for guests which rely on them (KVM_X86_QUIRK_*).
enum Quirk: UInt64 {
  /// The exit of a write to port 0x7e has the instruction pointer behind the instruction.
  case skipsPort7E = 8
  /// CPUID has MONITOR whatever IA32_MISC_ENABLE says.
  case monitorWhateverEnabled = 0x10
  /// VMCALL is replaced by VMMCALL.
  case mendsHypercalls = 0x20
  /// MONITOR and MWAIT do nothing, whatever CPUID says.
  case monitorAlways = 0x40
}
