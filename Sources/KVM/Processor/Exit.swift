/// Why a virtual processor stopped running guest code: an access that a device must answer, or the
/// end of a run.
///
/// What is larger than a few numbers stays with the processor: the elements of a port access in
/// ``ExitingCPU/withPortData(_:)``, the numbers after an error in ``ExitingCPU/exitDetails``.
///
/// Reference: KVM API, section 5, "The kvm_run structure".
public enum Exit: Hashable, Sendable, BitwiseCopyable {
  /// IN of 1, 2 or 4 bytes, or `count` of them at once for a string instruction (KVM_EXIT_IO).
  /// Answered by ``ExitingCPU/answer(_:)``, or in ``ExitingCPU/withPortData(_:)`` where there are
  /// several.
  case portRead(UInt16, size: Int, count: Int = 1)
  /// OUT of 1, 2 or 4 bytes (KVM_EXIT_IO). `value` is the first of `count` elements; all are in
  /// ``ExitingCPU/withPortData(_:)``.
  case portWrite(UInt16, value: UInt32, size: Int, count: Int = 1)
  /// A load of 1 to 8 bytes from an address without RAM (KVM_EXIT_MMIO); waits for
  /// ``ExitingCPU/answer(_:)``.
  case memoryRead(UInt64, size: Int)
  /// A store of 1 to 8 bytes to an address without RAM (KVM_EXIT_MMIO).
  case memoryWrite(UInt64, value: UInt64, size: Int)
  /// RDMSR of a register that was asked for (KVM_EXIT_X86_RDMSR); waits for
  /// ``ExitingCPU/answer(_:)`` or ``ExitingCPU/refuse()``.
  case modelSpecificRead(UInt32, reason: ModelSpecificExitReason)
  /// WRMSR of a register that was asked for (KVM_EXIT_X86_WRMSR); ``ExitingCPU/refuse()`` makes
  /// it a fault of the guest's.
  case modelSpecificWrite(UInt32, value: UInt64, reason: ModelSpecificExitReason)
  /// VMCALL or VMMCALL with a number that was asked for (KVM_EXIT_HYPERCALL); waits for
  /// ``ExitingCPU/answer(_:)``.
  case hypercall(Hypercall)
  /// A Hyper-V event (KVM_EXIT_HYPERV); its hypercall waits for ``ExitingCPU/answer(_:)``.
  case hyperV(HyperVExit)
  /// No device is concerned.
  case stopped(Stop)
}

/// How a run of guest code ended, when no device access ended it.
public enum Stop: Hashable, Sendable, BitwiseCopyable {
  /// HLT, on a machine without an interrupt controller of the hypervisor's own (KVM_EXIT_HLT).
  /// With one, HLT waits inside the run.
  case halted
  /// A ``Doorbell`` rang, or a signal arrived (KVM_EXIT_INTR). May be spurious.
  case interrupted
  /// The guest can take an interrupt now, as ``ExitingCPU/requestInterruptWindow(_:)`` asked
  /// (KVM_EXIT_IRQ_WINDOW_OPEN).
  case interruptWindow
  /// A triple fault (KVM_EXIT_SHUTDOWN).
  case shutdown
  /// What ``DebuggedCPU/setGuestDebug(_:)`` asked for happened (KVM_EXIT_DEBUG).
  case debug(DebugExit)
  /// The hypervisor itself noticed a power event (KVM_EXIT_SYSTEM_EVENT).
  case systemEvent(SystemEvent)
  /// The processor refused the guest's state; the number is the hardware's (KVM_EXIT_FAIL_ENTRY).
  case failedEntry(reason: UInt64, processor: UInt32 = 0)
  /// The hypervisor met an instruction or a state it cannot carry on with
  /// (KVM_EXIT_INTERNAL_ERROR); more in ``ExitingCPU/exitDetails``.
  case internalError(InternalError)
  /// An exception that the hypervisor does not handle (KVM_EXIT_EXCEPTION).
  case exception(vector: UInt32, errorCode: UInt32)
  /// The guest ended a level-triggered interrupt of an I/O APIC outside the hypervisor
  /// (KVM_EXIT_IOAPIC_EOI).
  case endOfInterrupt(vector: UInt8)
  /// The guest changed CR8, where that lets interrupts through (KVM_EXIT_SET_TPR); see
  /// ``RunStatus/taskPriority``.
  case taskPriorityChanged
  /// The guest touched its APIC's task priority at `address` (KVM_EXIT_TPR_ACCESS).
  case taskPriorityAccess(address: UInt64, isWrite: Bool)
  /// The ring of dirty pages is full until it is reset (KVM_EXIT_DIRTY_RING_FULL).
  case dirtyRingFull
  /// The guest locked the bus (KVM_EXIT_X86_BUS_LOCK).
  case busLock
  /// The guest let no event in for too long (KVM_EXIT_NOTIFY); without a valid context the
  /// processor's state is unusable.
  case notify(isContextValid: Bool)
  /// Guest memory that the host cannot provide (KVM_EXIT_MEMORY_FAULT, with KVM_RUN failing with
  /// EFAULT).
  case memoryFault(MemoryFault)
  /// A reason that this library does not know, by KVM's number.
  case unknown(reason: UInt32)
}
