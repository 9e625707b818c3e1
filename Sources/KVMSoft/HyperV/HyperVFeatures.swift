import KVM

/// What CPUID tells the guest of Hyper-V, and what it may therefore use.
///
/// Reference: Hypervisor Top-Level Functional Specification, "Hypervisor CPUID Leaf Range".
struct HyperVFeatures {
  /// Whether CPUID names Hyper-V's interface at all.
  private(set) var isPresent = false
  /// Whether the guest has only what the leaves say (KVM_CAP_HYPERV_ENFORCE_CPUID).
  var isEnforced = false
  /// Leaf 4000_0003: registers (EAX), calls (EBX) and more (EDX).
  private var registers: UInt32 = 0
  private var calls: UInt32 = 0
  private var others: UInt32 = 0
  /// Leaf 4000_0004: what the guest had better do (EAX), and how often it tries a lock (EBX).
  private var recommendations: UInt32 = 0
  private var spins: UInt32 = 0
  /// Leaf 4000_0082.
  private var debugger: UInt32 = 0

  /// Takes what CPUID answers now.
  mutating func update(_ table: CPUIDTable) {
    isPresent = table[0x4000_0001, 0].eax == HyperVLeaves.interface
    let features = table[0x4000_0003, 0]
    (registers, calls, others) = (features.eax, features.ebx, features.edx)
    (recommendations, spins) = (table[0x4000_0004, 0].eax, table[0x4000_0004, 0].ebx)
    debugger = table[0x4000_0082, 0].eax
  }

  /// Whether the guest can have itself debugged.
  var hasDebugger: Bool { debugger & 2 != 0 }
  /// Whether calls may have arguments in vector registers.
  var hasVectorInput: Bool { !isEnforced || others & 1 << 4 != 0 }
  /// Whether timers may raise interrupts without a message.
  var hasDirectTimers: Bool { !isEnforced || others & 1 << 19 != 0 }

  /// Whether the guest may use a register, as far as CPUID goes.
  func offers(register number: UInt32) -> Bool {
    guard isPresent else { return false }
    if HyperVRegister.isOfDebugger(number), !hasDebugger { return false }
    guard isEnforced else { return true }
    if number == HyperVRegister.crashControl || HyperVRegister.crashParameters.contains(number) {
      return others & 1 << 10 != 0
    }
    if HyperVRegister.isOfDebugger(number) { return others & 1 << 11 != 0 }
    return Self.bit(of: number).map { registers >> $0 & 1 != 0 } ?? false
  }

  /// The bit of leaf 4000_0003, EAX, for a register.
  private static func bit(of number: UInt32) -> UInt32? {
    switch number {
    case HyperVRegister.runTime: 0
    case HyperVRegister.referenceTime: 1
    case _ where HyperVRegister.isOfSynic(number): 2
    case HyperVRegister.timers: 3
    case HyperVRegister.endOfInterrupt...HyperVRegister.assistPage: 4
    case HyperVRegister.guestIdentity, HyperVRegister.hypercallPage: 5
    case HyperVRegister.processorIndex: 6
    case HyperVRegister.reset: 7
    case HyperVRegister.referencePage: 9
    case HyperVRegister.counterFrequency, HyperVRegister.timerFrequency: 11
    case HyperVRegister.reenlightenment...HyperVRegister.emulationStatus: 13
    default: nil
    }
  }

  /// Whether the guest may make a call.
  func offers(_ code: HyperVCall.Code) -> Bool {
    guard isEnforced else { return true }
    let flush = recommendations & 1 << 2 != 0
    let cluster = recommendations & 1 << 10 != 0
    let extended = recommendations & 1 << 11 != 0
    return switch code {
    case .notifyLongSpin: spins != 0 && spins != .max
    case .postMessage: calls & 1 << 4 != 0
    case .signalEvent: calls & 1 << 5 != 0
    // Without a debugger the call does not exist, which is another error.
    case .postDebugData, .retrieveDebugData, .resetDebugSession:
      !hasDebugger || calls & 1 << 11 != 0
    case .flushAddressSpace, .flushAddressList: flush
    case .flushAddressSpaceExtended, .flushAddressListExtended: flush && extended
    case .sendInterrupt: cluster
    case .sendInterruptExtended: cluster && extended
    }
  }
}
