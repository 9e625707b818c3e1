import CLinux
import CShim
import KVM
import KVMABI
import KVMSoft

/// What stands for a machine's descriptor.
final class MachineFile: OpenFile {
  let machine: SoftMachine

  init(_ machine: SoftMachine) {
    self.machine = machine
    super.init(kind: APUS_MACHINE)
  }

  override func control(_ request: UInt32, _ argument: UserAddress) throws(KVMError) -> Int {
    switch KVMRequest(rawValue: UInt(request)) {
    // Processors and capabilities
    case .KVM_CREATE_VCPU: try makeProcessor(argument)
    case .KVM_SET_BOOT_CPU_ID:
      try done(machine.setBootProcessor(UInt32(truncatingIfNeeded: argument.value)))
    case .KVM_CHECK_EXTENSION: Capability(argument).map { machine.check($0) } ?? 0
    case .KVM_ENABLE_CAP: try enable(argument)
    case .KVM_X86_SET_MSR_FILTER: try setFilter(argument)
    case .KVM_CREATE_DEVICE: try makeDevice(argument)
    case .KVM_HAS_DEVICE_ATTR: try hasAttribute(argument)
    case .KVM_GET_STATS_FD: try makeStatistics()
    case .KVM_GET_TSC_KHZ: Int(machine.timeStampKilohertz)
    case .KVM_SET_TSC_KHZ:
      try done(machine.setTimeStampKilohertz(UInt32(truncatingIfNeeded: argument.value)))

    // Memory
    case .KVM_SET_USER_MEMORY_REGION: try setMemory(argument)
    case .KVM_SET_USER_MEMORY_REGION2: try setMemoryWithFile(argument)
    case .KVM_SET_TSS_ADDR: try done(machine.setTaskStateAddress(UInt64(argument.value)))
    case .KVM_SET_IDENTITY_MAP_ADDR: try setIdentityMap(argument)
    case .KVM_GET_NR_MMU_PAGES: try machine.pageTableLimit()
    case .KVM_SET_NR_MMU_PAGES:
      try done(machine.setPageTableLimit(Int(min(argument.value, UInt(Int32.max)))))
    case .KVM_GET_DIRTY_LOG: try readDirtyLog(argument)
    case .KVM_CLEAR_DIRTY_LOG: try clearDirtyLog(argument)
    case .KVM_RESET_DIRTY_RINGS: try machine.resetDirtyRings()

    // Interrupts
    case .KVM_CREATE_IRQCHIP: try makeInterruptController()
    case .KVM_IRQ_LINE: try setLine(argument, tellsStatus: false)
    case .KVM_IRQ_LINE_STATUS: try setLine(argument, tellsStatus: true)
    case .KVM_GET_IRQCHIP: try readChip(argument)
    case .KVM_SET_IRQCHIP: try writeChip(argument)
    case .KVM_SET_GSI_ROUTING: try setRoutes(argument)
    case .KVM_SIGNAL_MSI: try deliver(argument)
    case .KVM_IRQFD: try connectInterrupt(argument)
    case .KVM_HYPERV_EVENTFD: try connectSignal(argument)
    case .KVM_IOEVENTFD: try connectWrites(argument)
    case .KVM_REGISTER_COALESCED_MMIO: try coalesce(argument, true)
    case .KVM_UNREGISTER_COALESCED_MMIO: try coalesce(argument, false)

    // Time
    case .KVM_CREATE_PIT: try makeTimer(hasSpeaker: true)
    case .KVM_CREATE_PIT2: try makeTimer(argument)
    case .KVM_GET_PIT: try argument.put(kvm_pit_state(machine.intervalTimer()))
    case .KVM_GET_PIT2: try argument.put(kvm_pit_state2(machine.intervalTimer()))
    case .KVM_SET_PIT: try setTimer(IntervalTimerState(argument.load(kvm_pit_state.self)))
    case .KVM_SET_PIT2: try setTimer(IntervalTimerState(argument.load(kvm_pit_state2.self)))
    case .KVM_REINJECT_CONTROL: try setReinjection(argument)
    case .KVM_GET_CLOCK: try argument.put(kvm_clock_data(machine.clock()))
    case .KVM_SET_CLOCK: try setClock(argument)
    default: throw .unknownRequest
    }
  }
}
