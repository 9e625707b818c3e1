import Glibc
import Host
public import KVM
import X86

extension SoftCPU: PagePointerCPU {
  public func specialRegistersWithPointers() throws(KVMError) -> SpecialRegistersWithPointers {
    var special = try specialRegisters()
    special.pendingInterrupt = nil
    let pointers = processor.cpu.pageDirectoryPointers
    return SpecialRegistersWithPointers(
      special,
      pagePointers: processor.cpu.usesPageDirectoryPointers
        ? [pointers[0], pointers[1], pointers[2], pointers[3]] : nil)
  }

  public func setSpecialRegistersWithPointers(
    _ registers: SpecialRegistersWithPointers
  ) throws(KVMError) {
    var special = registers.special
    special.pendingInterrupt = environment.queuedInterrupt
    try setSpecialRegisters(special)
    guard let pointers = registers.pagePointers else { return }
    processor.cpu.pageDirectoryPointers = [pointers[0], pointers[1], pointers[2], pointers[3]]
  }
}

extension SoftCPU: TimedCPU {
  public func timeStampKilohertz() throws(KVMError) -> UInt32 {
    UInt32(truncatingIfNeeded: environment.clock.kilohertz)
  }

  public func setTimeStampKilohertz(_ kilohertz: UInt32) throws(KVMError) {
    let own = HostProcessor.timeStampKilohertz
    let wanted = kilohertz == 0 ? own : UInt64(kilohertz)
    guard wanted < Self.fastestCounter else {
      throw .refused(call: "KVM_SET_TSC_KHZ", errno: EINVAL)
    }
    finishInstruction()
    environment.clock.kilohertz = wanted
    // A difference of 250 in a million is what a host's own drifts, as KVM has it.
    let isOwn = max(own, wanted) - min(own, wanted) <= own / 4000
    processor.timeStampScale =
      isOwn ? 1 << 48 : own.dividingFullWidth((wanted >> 16, wanted << 48)).quotient
    environment.timeStampChanged()
  }

  /// What the guest's counter is ahead of the host's, at the guest's rate (KVM_VCPU_TSC_OFFSET).
  public var timeStampOffset: UInt64 {
    get { processor.cpu.timeStampOffset }
    set {
      finishInstruction()
      environment.isHostWriting = true
      processor.cpu.timeStampOffset = newValue
      environment.timeStampChanged()
      environment.isHostWriting = false
    }
  }

  /// In kHz.
  static let fastestCounter: UInt64 = 1 << 31

  /// The guest is told by a flag in its clock's page.
  public func clockWasPaused() throws(KVMError) {
    guard environment.clock.notePause() else {
      throw .refused(call: "KVM_KVMCLOCK_CTRL", errno: EINVAL)
    }
  }
}

extension SoftCPU: MachineCheckCPU {
  public func setMachineCheckCapabilities(_ capabilities: UInt64) throws(KVMError) {
    guard environment.machineCheck.setUp(capabilities) else {
      throw .refused(call: "KVM_X86_SETUP_MCE", errno: EINVAL)
    }
    environment.chips?.controller.setHasCorrectedCheck(
      environment.machineCheck.hasCorrected, processor: environment.index)
  }

  public func report(_ check: MachineCheck) throws(KVMError) {
    finishInstruction()
    let canRaise = processor.cpu.cr4.contains(.machineCheck)
    switch environment.machineCheck.report(check, canRaise: canRaise) {
    case .refused: throw .refused(call: "KVM_X86_SET_MCE", errno: EINVAL)
    case .noted: break
    case .raisesInterrupt:
      environment.chips?.controller.raiseCorrectedCheck(processor: environment.index)
    case .raisesException: try raiseMachineCheck(canRaise)
    }
  }

  private func raiseMachineCheck(_ canRaise: Bool) throws(KVMError) {
    var events = try events()
    if canRaise {
      events.exception.isInjected = true
      events.exception.vector = ExceptionVector.machineCheck.rawValue
    } else {
      events.hasTripleFault = true
      events.valid.insert(.tripleFault)
    }
    try setEvents(events)
  }
}

extension SoftCPU: ControlledCPU {
  /// Only the thread that runs the processor can say what its signals do.
  public func setSignalMask(_ signals: UInt64?) throws(KVMError) {
    if signals != nil {
      throw .unsupported("The engine runs on the caller's thread, whose own mask counts.")
    }
  }

  public func enable(
    _ capability: Capability, _ arguments: FixedArray<4, UInt64>
  ) throws(KVMError) {
    let isTaken: Bool
    switch capability {
    case .enforcePVFeatureCPUID:
      environment.enforcesFeatures = arguments[0] != 0
      isTaken = true
    case .hyperVEnforceCPUID:
      environment.hyperV.features.isEnforced = arguments[0] != 0
      isTaken = true
    case .hyperVSynic: isTaken = environment.activateSynthetic(keepingPages: false)
    case .hyperVSynic2:
      isTaken = arguments[0] == 0 && environment.activateSynthetic(keepingPages: true)
    default: isTaken = false
    }
    if !isTaken { throw .refused(call: "KVM_ENABLE_CAP", errno: EINVAL) }
  }

  /// Guests cannot run guests.
  public func nestedState() throws(KVMError) -> NestedState {
    throw .refused(call: "KVM_GET_NESTED_STATE", errno: EINVAL)
  }

  public func setNestedState(_ state: NestedState) throws(KVMError) {
    throw .refused(call: "KVM_SET_NESTED_STATE", errno: EINVAL)
  }

  public func statistics() throws(KVMError) -> [Statistic] {
    let counts = environment.counts
    return [
      Statistic("halted", .instant, .boolean, values: [UInt64(processor.cpu.halted)]),
      Statistic("runs", values: [counts.runs]),
      Statistic("halt_exits", values: [counts.halts]),
      Statistic("irq_injections", values: [counts.interrupts]),
    ]
  }
}
