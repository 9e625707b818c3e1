// What else can be asked of a processor, by noun. All of it is for the processor's own thread, and
// between runs. Setting state takes effect whatever the processor was doing.

/// The page-directory pointers beside the special registers (`struct kvm_sregs2`).
public protocol PagePointerCPU: VirtualCPU {
  /// KVM_GET_SREGS2
  func specialRegistersWithPointers() throws(KVMError) -> SpecialRegistersWithPointers
  /// KVM_SET_SREGS2: unlike KVM_SET_SREGS, it does not read the pointers from guest memory.
  func setSpecialRegistersWithPointers(
    _ registers: SpecialRegistersWithPointers
  ) throws(KVMError)
}

/// Registers of the floating-point unit and its extensions.
public protocol FloatingPointCPU: VirtualCPU {
  /// KVM_GET_FPU
  func floatingPoint() throws(KVMError) -> FloatingPointState
  /// KVM_SET_FPU
  func setFloatingPoint(_ state: FloatingPointState) throws(KVMError)

  /// KVM_GET_XSAVE2, or KVM_GET_XSAVE where 4096 bytes are all there is.
  func extendedState() throws(KVMError) -> ExtendedState
  /// KVM_SET_XSAVE; EINVAL for components or MXCSR bits that do not exist.
  func setExtendedState(_ state: ExtendedState) throws(KVMError)

  /// KVM_GET_XCRS
  func extendedControlRegisters() throws(KVMError) -> [ExtendedControlRegister]
  /// KVM_SET_XCRS; EINVAL for a value that XSETBV refuses.
  func setExtendedControlRegisters(_ registers: [ExtendedControlRegister]) throws(KVMError)
}

/// What the processor's instructions find out about it.
public protocol IdentifiedCPU: VirtualCPU {
  /// What CPUID answers (KVM_GET_CPUID2).
  func identification() throws(KVMError) -> [CPUIDEntry]
  /// What it could answer of Hyper-V's interface (KVM_GET_SUPPORTED_HV_CPUID of a processor).
  func hyperVIdentification() throws(KVMError) -> [CPUIDEntry]

  /// Reads registers up to the first that is refused (KVM_GET_MSRS and its count).
  func readModelSpecific(_ numbers: [UInt32]) throws(KVMError) -> [ModelSpecificRegister]
  /// Writes registers up to the first that is refused; how many (KVM_SET_MSRS and its count).
  func writeModelSpecific(_ registers: [ModelSpecificRegister]) throws(KVMError) -> Int
}

/// Events on their way, and whether the processor runs at all.
public protocol EventfulCPU: VirtualCPU {
  /// KVM_GET_VCPU_EVENTS
  func events() throws(KVMError) -> ProcessorEvents
  /// KVM_SET_VCPU_EVENTS
  func setEvents(_ events: ProcessorEvents) throws(KVMError)

  /// KVM_GET_MP_STATE; takes what INIT and startup messages changed into account.
  func activity() throws(KVMError) -> ProcessorActivity
  /// KVM_SET_MP_STATE; EINVAL without an interrupt controller, but for runnable.
  func setActivity(_ activity: ProcessorActivity) throws(KVMError)

  /// Raises a non-maskable interrupt (KVM_NMI).
  func raiseNonMaskable() throws(KVMError)
  /// Raises a system-management interrupt (KVM_SMI).
  func raiseSystemManagement() throws(KVMError)
}

/// Debugging, by the guest and from outside.
public protocol DebuggedCPU: VirtualCPU {
  /// KVM_GET_DEBUGREGS
  func debugRegisters() throws(KVMError) -> DebugRegisters
  /// KVM_SET_DEBUGREGS; EINVAL for DR6 or DR7 beyond 32 bits.
  func setDebugRegisters(_ registers: DebugRegisters) throws(KVMError)

  /// KVM_SET_GUEST_DEBUG; EBUSY to inject while another exception waits.
  func setGuestDebug(_ debug: GuestDebug) throws(KVMError)

  /// Walks the guest's page tables (KVM_TRANSLATE).
  func translate(_ linearAddress: UInt64) throws(KVMError) -> Translation
}

/// The processor's interrupt controller; only on machines with one (else EINVAL).
public protocol LocalAPICCPU: VirtualCPU {
  /// KVM_GET_LAPIC
  func localAPIC() throws(KVMError) -> LocalAPICState
  /// KVM_SET_LAPIC
  func setLocalAPIC(_ state: LocalAPICState) throws(KVMError)

  /// Whether accesses to the task priority end runs (KVM_TPR_ACCESS_REPORTING).
  func reportTaskPriorityAccess(_ wanted: Bool) throws(KVMError)
  /// Where a 32-bit guest keeps its task priority (KVM_SET_VAPIC_ADDR).
  func setVirtualAPICAddress(_ address: UInt64) throws(KVMError)
}

/// The processor's time.
public protocol TimedCPU: VirtualCPU {
  /// The rate of the guest's time-stamp counter in kHz (KVM_GET_TSC_KHZ).
  func timeStampKilohertz() throws(KVMError) -> UInt32
  /// KVM_SET_TSC_KHZ; EINVAL for a rate that cannot be.
  func setTimeStampKilohertz(_ kilohertz: UInt32) throws(KVMError)
  /// Tells the guest's clock that the host stopped it (KVM_KVMCLOCK_CTRL); EINVAL when it has
  /// none.
  func clockWasPaused() throws(KVMError)
}

/// What a processor has under numbers, such as ``DeviceAttribute/timeStampOffset``.
public protocol AttributedCPU: VirtualCPU {
  /// KVM_GET_DEVICE_ATTR of a processor; ENXIO for one it does not know.
  func value(of attribute: DeviceAttribute) throws(KVMError) -> UInt64
  /// KVM_SET_DEVICE_ATTR of a processor.
  func setValue(_ value: UInt64, of attribute: DeviceAttribute) throws(KVMError)
  /// KVM_HAS_DEVICE_ATTR of a processor.
  func has(_ attribute: DeviceAttribute) -> Bool
}

/// Machine checks.
public protocol MachineCheckCPU: VirtualCPU {
  /// Sets IA32_MCG_CAP, and with it the number of banks (KVM_X86_SETUP_MCE).
  func setMachineCheckCapabilities(_ capabilities: UInt64) throws(KVMError)
  /// KVM_X86_SET_MCE
  func report(_ check: MachineCheck) throws(KVMError)
}

/// What else a processor can be told.
public protocol ControlledCPU: VirtualCPU {
  /// The signals that are blocked during a run instead of the thread's own: a bit for each, from
  /// signal 1; `nil` for the thread's own (KVM_SET_SIGNAL_MASK).
  func setSignalMask(_ signals: UInt64?) throws(KVMError)
  /// KVM_ENABLE_CAP
  func enable(_ capability: Capability, _ arguments: FixedArray<4, UInt64>) throws(KVMError)
  /// KVM_GET_NESTED_STATE
  func nestedState() throws(KVMError) -> NestedState
  /// KVM_SET_NESTED_STATE
  func setNestedState(_ state: NestedState) throws(KVMError)
  /// Counters by name (KVM_GET_STATS_FD).
  func statistics() throws(KVMError) -> [Statistic]
}

/// A processor that answers all that KVM's interface asks.
public protocol CompleteCPU: ExitingCPU, PagePointerCPU, FloatingPointCPU, IdentifiedCPU,
  EventfulCPU, DebuggedCPU, LocalAPICCPU, TimedCPU, AttributedCPU, MachineCheckCPU, ControlledCPU
{}
