import CLinux
public import KVM

extension RunArea {
  /// Writes an exit into the structure, as whoever runs guests tells it: the other direction of
  /// ``exit``. The elements of a port access are then written in ``withPortData(_:)``; `details`
  /// belongs to internal errors and system events, and is looked at for no other.
  public func report(_ exit: Exit, details: @autoclosure () -> [UInt64] = []) {
    switch exit {
    case .portRead(let port, let size, let count):
      reportPort(port, size, count, direction: KVM_EXIT_IO_IN)
    case .portWrite(let port, let value, let size, let count):
      reportPort(port, size, count, direction: KVM_EXIT_IO_OUT)
      withPortData { data in
        for byte in 0..<min(size, 4, data.byteCount) {
          let part = UInt8(truncatingIfNeeded: value >> (byte * 8))
          data.storeBytes(of: part, toByteOffset: byte, as: UInt8.self)
        }
      }
    case .memoryRead(let address, let size): reportMemory(address, 0, size, isWrite: false)
    case .memoryWrite(let address, let value, let size):
      reportMemory(address, value, size, isWrite: true)
    case .modelSpecificRead(let number, let reason):
      reportModelSpecific(KVM_EXIT_X86_RDMSR, number, 0, reason)
    case .modelSpecificWrite(let number, let value, let reason):
      reportModelSpecific(KVM_EXIT_X86_WRMSR, number, value, reason)
    case .hypercall(let call):
      content.exit_reason = UInt32(KVM_EXIT_HYPERCALL)
      (content.hypercall.nr, content.hypercall.ret) = (call.number, 0)
      content.hypercall.args = tuple(call.arguments)
      content.hypercall.longmode = call.isLongMode ? 1 : 0
    case .hyperV(let exit):
      content.exit_reason = UInt32(KVM_EXIT_HYPERV)
      content.hyperv = kvm_hyperv_exit(exit)
    case .stopped(let stop): report(stop, details())
    }
  }

  private func reportPort(_ port: UInt16, _ size: Int, _ count: Int, direction: CInt) {
    content.exit_reason = UInt32(KVM_EXIT_IO)
    // The union's members are written whole; field by field, each write waits for the one before.
    var access = content.io
    (access.direction, access.size) = (UInt8(direction), UInt8(size))
    (access.port, access.count) = (port, UInt32(count))
    access.data_offset = UInt64(Self.portDataOffset)
    content.io = access
  }

  private func reportMemory(_ address: UInt64, _ value: UInt64, _ size: Int, isWrite: Bool) {
    content.exit_reason = UInt32(KVM_EXIT_MMIO)
    var access = content.mmio
    (access.phys_addr, access.len) = (address, UInt32(size))
    unsafe access.data = unsafeBitCast(value, to: type(of: access.data))
    access.is_write = isWrite ? 1 : 0
    content.mmio = access
  }

  private func reportModelSpecific(
    _ exit: CInt, _ number: UInt32, _ value: UInt64, _ reason: ModelSpecificExitReason
  ) {
    content.exit_reason = UInt32(exit)
    (content.msr.index, content.msr.data) = (number, value)
    (content.msr.reason, content.msr.error) = (reason.rawValue, 0)
  }

  private func report(_ stop: Stop, _ details: [UInt64]) {
    content.exit_reason = stop.reason
    var numbers = FixedArray<16, UInt64>(repeating: 0)
    for (index, number) in details.prefix(16).enumerated() { numbers[index] = number }
    let count = UInt32(min(details.count, 16))
    switch stop {
    case .debug(let exit): content.debug.arch = kvm_debug_exit_arch(exit)
    case .systemEvent(let event):
      (content.system_event.type, content.system_event.ndata) = (event.number, count)
      content.system_event.data = tuple(numbers)
    case .failedEntry(let reason, let processor):
      content.fail_entry.hardware_entry_failure_reason = reason
      content.fail_entry.cpu = processor
    case .internalError(let error):
      (content.internal.suberror, content.internal.ndata) = (error.number, count)
      content.internal.data = tuple(numbers)
    case .exception(let vector, let errorCode):
      (content.ex.exception, content.ex.error_code) = (vector, errorCode)
    case .endOfInterrupt(let vector): content.eoi.vector = vector
    case .taskPriorityAccess(let address, let isWrite):
      (content.tpr_access.rip, content.tpr_access.is_write) = (address, isWrite ? 1 : 0)
    case .notify(let isContextValid):
      content.notify.flags = isContextValid ? 0 : UInt32(KVM_NOTIFY_CONTEXT_INVALID)
    case .memoryFault(let fault):
      let values = apus_memory_fault(flags: fault.flags, gpa: fault.address, size: fault.size)
      unsafe base.storeBytes(
        of: values, toByteOffset: apus_kvm_run_exit_offset, as: apus_memory_fault.self)
    case .unknown: content.hw.hardware_exit_reason = 0
    case .halted, .interrupted, .interruptWindow, .shutdown, .taskPriorityChanged, .dirtyRingFull,
      .busLock:
      break
    }
  }
}

extension Stop {
  /// The number of the exit: KVM_EXIT_*.
  public var reason: UInt32 {
    switch self {
    case .halted: UInt32(KVM_EXIT_HLT)
    case .interrupted: UInt32(KVM_EXIT_INTR)
    case .interruptWindow: UInt32(KVM_EXIT_IRQ_WINDOW_OPEN)
    case .shutdown: UInt32(KVM_EXIT_SHUTDOWN)
    case .debug: UInt32(KVM_EXIT_DEBUG)
    case .systemEvent: UInt32(KVM_EXIT_SYSTEM_EVENT)
    case .failedEntry: UInt32(KVM_EXIT_FAIL_ENTRY)
    case .internalError: UInt32(KVM_EXIT_INTERNAL_ERROR)
    case .exception: UInt32(KVM_EXIT_EXCEPTION)
    case .endOfInterrupt: UInt32(KVM_EXIT_IOAPIC_EOI)
    case .taskPriorityChanged: UInt32(KVM_EXIT_SET_TPR)
    case .taskPriorityAccess: UInt32(KVM_EXIT_TPR_ACCESS)
    case .dirtyRingFull: UInt32(KVM_EXIT_DIRTY_RING_FULL)
    case .busLock: UInt32(KVM_EXIT_X86_BUS_LOCK)
    case .notify: UInt32(KVM_EXIT_NOTIFY)
    case .memoryFault: UInt32(APUS_KVM_EXIT_MEMORY_FAULT)
    case .unknown(let reason): reason
    }
  }
}
