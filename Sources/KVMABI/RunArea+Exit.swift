public import CLinux
public import KVM

extension RunArea {
  /// The exit that the structure tells, as whoever called KVM_RUN reads it.
  public var exit: Exit {
    switch CInt(bitPattern: content.exit_reason) {
    case KVM_EXIT_IO: portExit
    case KVM_EXIT_MMIO: memoryExit
    case KVM_EXIT_X86_RDMSR:
      .modelSpecificRead(
        content.msr.index,
        reason: ModelSpecificExitReason(rawValue: content.msr.reason))
    case KVM_EXIT_X86_WRMSR:
      .modelSpecificWrite(
        content.msr.index, value: content.msr.data,
        reason: ModelSpecificExitReason(rawValue: content.msr.reason))
    case KVM_EXIT_HYPERCALL:
      .hypercall(
        Hypercall(
          number: content.hypercall.nr, arguments: fixed(content.hypercall.args),
          isLongMode: content.hypercall.longmode != 0))
    case KVM_EXIT_HYPERV:
      HyperVExit(content.hyperv).map { .hyperV($0) }
        ?? .stopped(.unknown(reason: content.exit_reason))
    default: .stopped(stop)
    }
  }

  private var portExit: Exit {
    let access = content.io
    let (size, count) = (Int(access.size), Int(access.count))
    guard CInt(access.direction) == KVM_EXIT_IO_OUT else {
      return .portRead(access.port, size: size, count: count)
    }
    let value = withPortData { data in
      (0..<min(size, 4, data.byteCount)).reversed().reduce(UInt32(0)) { value, offset in
        value << 8 | UInt32(unsafe data.bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
      }
    }
    return .portWrite(access.port, value: value, size: size, count: count)
  }

  private var memoryExit: Exit {
    let access = content.mmio
    let size = min(Int(access.len), 8)
    guard access.is_write != 0 else { return .memoryRead(access.phys_addr, size: size) }
    let value: UInt64 = unsafe unsafeBitCast(access.data, to: UInt64.self)
    let mask: UInt64 = size == 8 ? .max : (1 << UInt64(size * 8)) - 1
    return .memoryWrite(access.phys_addr, value: value & mask, size: size)
  }

  private var stop: Stop {
    switch CInt(bitPattern: content.exit_reason) {
    case KVM_EXIT_HLT: .halted
    case KVM_EXIT_INTR: .interrupted
    case KVM_EXIT_IRQ_WINDOW_OPEN: .interruptWindow
    case KVM_EXIT_SHUTDOWN: .shutdown
    case KVM_EXIT_DEBUG: .debug(DebugExit(content.debug.arch))
    case KVM_EXIT_SYSTEM_EVENT:
      .systemEvent(SystemEvent(number: content.system_event.type))
    case KVM_EXIT_FAIL_ENTRY:
      .failedEntry(
        reason: content.fail_entry.hardware_entry_failure_reason,
        processor: content.fail_entry.cpu)
    case KVM_EXIT_INTERNAL_ERROR:
      .internalError(InternalError(number: content.internal.suberror))
    case KVM_EXIT_EXCEPTION:
      .exception(
        vector: content.ex.exception, errorCode: content.ex.error_code)
    case KVM_EXIT_IOAPIC_EOI: .endOfInterrupt(vector: content.eoi.vector)
    case KVM_EXIT_SET_TPR: .taskPriorityChanged
    case KVM_EXIT_TPR_ACCESS:
      .taskPriorityAccess(
        address: content.tpr_access.rip, isWrite: content.tpr_access.is_write != 0)
    case KVM_EXIT_DIRTY_RING_FULL: .dirtyRingFull
    case KVM_EXIT_X86_BUS_LOCK: .busLock
    case KVM_EXIT_NOTIFY:
      .notify(isContextValid: content.notify.flags & UInt32(KVM_NOTIFY_CONTEXT_INVALID) == 0)
    case CInt(APUS_KVM_EXIT_MEMORY_FAULT): .memoryFault(memoryFault)
    default: .unknown(reason: content.exit_reason)
    }
  }

  private var memoryFault: MemoryFault {
    let fault = unsafe base.load(
      fromByteOffset: apus_kvm_run_exit_offset, as: apus_memory_fault.self)
    return MemoryFault(flags: fault.flags, address: fault.gpa, size: fault.size)
  }

  /// The numbers that came with an internal error or a system event.
  public var exitDetails: [UInt64] {
    var numbers = FixedArray<16, UInt64>(repeating: 0)
    var count: UInt32 = 0
    switch CInt(bitPattern: content.exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
      (numbers, count) = (fixed(content.internal.data), content.internal.ndata)
    case KVM_EXIT_SYSTEM_EVENT:
      numbers = fixed(content.system_event.data)
      count = content.system_event.ndata
    default: break
    }
    return Array(numbers.elements.prefix(Int(count)))
  }

  /// What the structure shows of the processor.
  public var status: RunStatus {
    get {
      var status = RunStatus()
      status.isReadyForInterrupt = content.ready_for_interrupt_injection != 0
      status.interruptFlag = content.if_flag != 0
      status.isInSystemManagement = content.flags & UInt16(KVM_RUN_X86_SMM) != 0
      status.lockedBus = content.flags & UInt16(KVM_RUN_X86_BUS_LOCK) != 0
      (status.taskPriority, status.apicBase) = (content.cr8, content.apic_base)
      return status
    }
    nonmutating set {
      content.ready_for_interrupt_injection = newValue.isReadyForInterrupt ? 1 : 0
      content.if_flag = newValue.interruptFlag ? 1 : 0
      content.flags =
        (newValue.isInSystemManagement ? UInt16(KVM_RUN_X86_SMM) : 0)
        | (newValue.lockedBus ? UInt16(KVM_RUN_X86_BUS_LOCK) : 0)
      (content.cr8, content.apic_base) = (newValue.taskPriority, newValue.apicBase)
    }
  }
}

extension DebugExit {
  public init(_ values: kvm_debug_exit_arch) {
    self.init(
      exception: values.exception, address: values.pc, dr6: values.dr6, dr7: values.dr7)
  }
}

extension kvm_debug_exit_arch {
  public init(_ exit: DebugExit) {
    self.init(
      exception: exit.exception, pad: 0, pc: exit.address, dr6: exit.dr6, dr7: exit.dr7)
  }
}
