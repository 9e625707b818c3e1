import CLinux
import CShim
import Host
import KVM
import KVMABI
import KVMSoft
import Synchronization

/// What stands for a processor's descriptor. Its file in memory holds what the processor and the
/// program share; everybody maps that.
final class ProcessorFile: OpenFile, @unchecked Sendable {
  /// Used under the lock only, but for its doorbell.
  let cpu: SoftCPU
  /// The machine lives as long as its processors.
  let machine: MachineFile
  let area: RunArea
  private let mapping: Mapping
  /// One ioctl at a time, as in the kernel; a run is one.
  private let lock = Mutex(())
  /// What the next run begins with.
  var state = RunState()

  init(
    _ cpu: SoftCPU, of machine: MachineFile, sharing descriptor: CInt, size: Int
  ) throws(KVMError) {
    self.cpu = cpu
    self.machine = machine
    mapping = try refusing { () throws(SystemError) in
      let file = try FileDescriptor.duplicate(of: descriptor)
      try machine.machine.shareCoalescedRing(file, size: size)
      try cpu.shareDirtyRing(file)
      return try Mapping(shared: file, size: size, protection: 3)
    }
    area = unsafe RunArea(base: mapping.base, size: size)
    super.init(kind: APUS_PROCESSOR)
  }

  /// Ends the run in progress; called by signal handlers.
  func ring() { cpu.ringFromSignalHandler() }

  override func control(_ request: UInt32, _ argument: UserAddress) throws(KVMError) -> Int {
    // Not `withLock`: a run must not allocate a closure's context.
    lock._unsafeLock()
    defer { lock._unsafeUnlock() }
    return request == UInt32(KVMRequest.KVM_RUN.rawValue)
      ? try run(argument) : try answer(request, argument)
  }

  private func answer(_ request: UInt32, _ argument: UserAddress) throws(KVMError) -> Int {
    // To set state completes the instruction that an exit interrupted. Those requests write (_IOW).
    if request >> 30 == 1 { takeAnswer() }
    return switch KVMRequest(rawValue: UInt(request)) {
    // Registers
    case .KVM_GET_REGS: try argument.put(kvm_regs(cpu.registers()))
    case .KVM_SET_REGS: try setRegisters(argument)
    case .KVM_GET_SREGS: try argument.put(kvm_sregs(cpu.specialRegisters()))
    case .KVM_SET_SREGS: try setSpecialRegisters(argument)
    case .KVM_GET_SREGS2:
      try argument.put(kvm_sregs2(cpu.specialRegistersWithPointers()))
    case .KVM_SET_SREGS2: try setSpecialRegisters2(argument)
    case .KVM_GET_FPU: try argument.put(kvm_fpu(cpu.floatingPoint()))
    case .KVM_SET_FPU: try setFloatingPoint(argument)
    case .KVM_GET_XSAVE, .KVM_GET_XSAVE2: try readExtendedState(argument)
    case .KVM_SET_XSAVE: try setExtendedState(argument)
    case .KVM_GET_XCRS:
      try argument.put(kvm_xcrs(cpu.extendedControlRegisters()))
    case .KVM_SET_XCRS: try setExtendedControlRegisters(argument)
    case .KVM_GET_DEBUGREGS: try argument.put(kvm_debugregs(cpu.debugRegisters()))
    case .KVM_SET_DEBUGREGS: try setDebugRegisters(argument)

    // Identity
    case .KVM_SET_CPUID: try setOldIdentification(argument)
    case .KVM_SET_CPUID2: try setIdentification(argument)
    case .KVM_GET_CPUID2: try readIdentification(argument)
    case .KVM_GET_SUPPORTED_HV_CPUID: try argument.put(table: cpu.hyperVIdentification())
    case .KVM_GET_MSRS: try readModelSpecific(argument)
    case .KVM_SET_MSRS: try writeModelSpecific(argument)

    // Events
    case .KVM_INTERRUPT: try inject(argument)
    case .KVM_NMI: try done(cpu.raiseNonMaskable())
    case .KVM_SMI: try done(cpu.raiseSystemManagement())
    case .KVM_GET_MP_STATE:
      try argument.put(kvm_mp_state(mp_state: cpu.activity().rawValue))
    case .KVM_SET_MP_STATE: try setActivity(argument)
    case .KVM_GET_VCPU_EVENTS: try argument.put(kvm_vcpu_events(cpu.events()))
    case .KVM_SET_VCPU_EVENTS: try setEvents(argument)
    case .KVM_SET_SIGNAL_MASK: try setSignalMask(argument)
    case .KVM_GET_LAPIC: try argument.put(kvm_lapic_state(cpu.localAPIC()))
    case .KVM_SET_LAPIC: try setLocalAPIC(argument)
    case .KVM_TPR_ACCESS_REPORTING: try reportTaskPriority(argument)
    case .KVM_SET_VAPIC_ADDR: try setVirtualAPICAddress(argument)
    case .KVM_X86_SETUP_MCE: try setMachineCheckCapabilities(argument)
    case .KVM_X86_SET_MCE: try reportMachineCheck(argument)

    // Debugging, time, the rest
    case .KVM_SET_GUEST_DEBUG: try setGuestDebug(argument)
    case .KVM_TRANSLATE: try translate(argument)
    case .KVM_GET_TSC_KHZ: Int(try cpu.timeStampKilohertz())
    case .KVM_SET_TSC_KHZ:
      try done(cpu.setTimeStampKilohertz(UInt32(truncatingIfNeeded: argument.value)))
    case .KVM_KVMCLOCK_CTRL: try done(cpu.clockWasPaused())
    case .KVM_ENABLE_CAP: try enable(argument)
    case .KVM_GET_NESTED_STATE, .KVM_SET_NESTED_STATE: throw .invalid
    case .KVM_GET_STATS_FD: try makeStatistics()
    case .KVM_HAS_DEVICE_ATTR: try checkAttribute(argument)
    case .KVM_GET_DEVICE_ATTR: try readAttribute(argument)
    case .KVM_SET_DEVICE_ATTR: try setAttribute(argument)
    default: throw .invalid
    }
  }
}
