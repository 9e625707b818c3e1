import Glibc
import GuestMemory
import Host
public import KVM
import KVMABI

extension SoftHypervisor: InquirableHypervisor {
  public var interfaceVersion: Int { 12 }

  /// The structure, the data of port accesses, and the ring of coalesced writes: a page each.
  public var sharedSize: Int { 3 * 4096 }

  public func check(_ capability: Capability) -> Int { SoftCapabilities.answers[capability] ?? 0 }

  /// The engine emulates nothing slower than it runs it.
  public func emulatedCPUID() throws(KVMError) -> [CPUIDEntry] {
    [CPUIDEntry(0, nil, (0, 0, 0, 0))]
  }

  public func hyperVCPUID() throws(KVMError) -> [CPUIDEntry] {
    HyperVLeaves.all(hasLocalAPIC: true)
  }

  public func modelSpecificNumbers() throws(KVMError) -> [UInt32] { ModelSpecificNumbers.state }

  public func featureNumbers() throws(KVMError) -> [UInt32] { ModelSpecificNumbers.features }

  public func features(_ numbers: [UInt32]) throws(KVMError) -> [ModelSpecificRegister] {
    var registers: [ModelSpecificRegister] = []
    let store = ModelSpecificStore()
    for number in numbers {
      guard ModelSpecificNumbers.features.contains(number), let value = store.read(number)
      else { break }
      registers.append(ModelSpecificRegister(number, value))
    }
    return registers
  }

  public func machineCheckCapabilities() throws(KVMError) -> UInt64 {
    MachineCheckBanks.supported | MachineCheckBanks.bankLimit
  }

  public func value(of attribute: DeviceAttribute) throws(KVMError) -> UInt64 {
    guard has(attribute) else { throw .refused(call: "KVM_GET_DEVICE_ATTR", errno: ENXIO) }
    return CPUIDLeaves.states
  }

  public func makeMachine() throws(KVMError) -> SoftMachine {
    if let obstacle = HostRequirement.unmet.first { throw .unavailable(obstacle.sentence) }
    return try refusing { () throws(SystemError) in try SoftMachine(memory: try GuestMemory()) }
  }

  public func has(_ attribute: DeviceAttribute) -> Bool { attribute == .guestStateComponents }
}

/// What the engine answers to KVM_CHECK_EXTENSION; 0 for what is not here.
enum SoftCapabilities {
  static let slots = 32764
  /// One for system-management mode.
  static let addressSpaces = 2

  /// Whether there may be a slot of a number, which has the address space in its upper half.
  static func mayHaveSlot(_ number: UInt32) -> Bool {
    number & 0xffff < slots && number >> 16 < addressSpaces
  }

  static let processors = 1024
  static let processorIDs = 4096
  static let routes = 4096

  static let answers: [Capability: Int] = {
    var answers: [Capability: Int] = [:]
    for capability in present { answers[capability] = 1 }
    for (capability, answer) in graded { answers[capability] = answer }
    return answers
  }()

  private static let present: [Capability] = [
    // Memory
    .userMemory, .destroyMemoryRegionWorks, .joinMemoryRegionsWorks, .syncMMU, .readonlyMemory,
    .setTSSAddress, .setIdentityMapAddress, .mmuShadowCacheControl,
    // Processors
    .extendedCPUID, .extendedEmulatedCPUID, .mpState, .vcpuEvents, .interruptShadow, .xsave,
    .xcrs, .debugRegisters, .sregs2, .getMSRFeatures, .sysAttributes, .hlt, .userNMI,
    .immediateExit, .setGuestDebug, .x86RobustSinglestep, .internalErrorData, .nopIODelay,
    .exitOnEmulationFailure,
    .exceptionPayload, .x86TripleFaultEvent, .x86SMM, .enableCap, .enableCapVM, .checkExtensionVM,
    // Interrupts and events
    .irqchip, .irqInjectStatus, .ioapicPolarityIgnored, .signalMSI, .irqfd, .irqfdResample,
    .ioeventfd, .ioeventfdNoLength, .ioeventfdAnyLength, .splitIrqchip, .setBootCPUID,
    .x2APICAPI, .vapic, .coalescedPIO, .deviceControl,
    // Hyper-V
    .hyperV, .hyperVVAPIC, .hyperVSpin, .hyperVTime, .hyperVSynic, .hyperVSynic2,
    .hyperVVPIndex, .hyperVEventfd, .hyperVTLBFlush, .hyperVSendIPI, .hyperVCPUID,
    .hyperVEnforceCPUID, .sysHyperVCPUID,
    // Time
    .pit, .pit2, .pitState2, .reinjectControl, .tscDeadlineTimer, .getTSCKilohertz,
    .enforcePVFeatureCPUID, .vcpuAttributes, .tscControl, .clockSource, .kvmClockControl,
    .binaryStatsFD, .vmTSCControl,
  ]

  private static let graded: [Capability: Int] = [
    .numberMemorySlots: slots,
    .multiAddressSpace: addressSpaces,
    .numberVCPUs: processors,
    .maxVCPUs: processors,
    .maxVCPUID: processorIDs,
    .irqRouting: routes,
    // The page of the shared area where the ring of coalesced writes is.
    .coalescedMMIO: 2,
    .mce: Int(MachineCheckBanks.bankLimit),
    .syncRegisters: 7,
    // KVM_CLOCK_TSC_STABLE, _REALTIME and _HOST_TSC.
    .adjustClock: 2 | 4 | 8,
    .xsave2: 4096,
    // Enable, single step, both kinds of breakpoints, injection, blocking interrupts.
    .setGuestDebug2: 0x1f_0003,
    // KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE and KVM_DIRTY_LOG_INITIALLY_SET.
    .manualDirtyLogProtect2: 3,
    .dirtyLogRing: DirtyRing.largest, .dirtyLogRingAcquireRelease: DirtyRing.largest,
    // Unknown, invalid and filtered accesses.
    .x86UserSpaceMSR: 7, .x86MSRFilter: 1, .msrPlatformInfo: 1,
    .disableQuirks: 1, .disableQuirks2: 0x7f,
    // KVM_HC_MAP_GPA_RANGE
    .exitHypercall: 1 << 12,
    .guestDebugHardwareBreakpoints: 4, .guestDebugHardwareWatchpoints: 4,
  ]
}
