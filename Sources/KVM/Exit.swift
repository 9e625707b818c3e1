/// Why a virtual processor stopped running guest code: an access that a device must answer, or the
/// end of a run.
///
/// Reference: KVM API, section 5, "The kvm_run structure".
public enum Exit: Hashable, Sendable, BitwiseCopyable {
  /// IN of 1, 2 or 4 bytes; the processor waits for ``ExitingCPU/answer(_:)``.
  case portRead(UInt16, size: Int)
  /// OUT of 1, 2 or 4 bytes. Repeated string output arrives as one exit per element.
  case portWrite(UInt16, value: UInt32, size: Int)
  /// A load of 1 to 8 bytes from an address without RAM; waits for ``ExitingCPU/answer(_:)``.
  case memoryRead(UInt64, size: Int)
  /// A store of 1 to 8 bytes to an address without RAM.
  case memoryWrite(UInt64, value: UInt64, size: Int)
  /// No device is concerned.
  case stopped(Stop)
}

/// How a run of guest code ended, when no device access ended it.
public enum Stop: Hashable, Sendable, BitwiseCopyable {
  /// HLT, on a machine without an interrupt controller of the hypervisor's own. With one, HLT
  /// waits inside the run.
  case halted
  /// A ``Doorbell`` rang, or a signal arrived. May be spurious.
  case interrupted
  /// The guest can take an interrupt now, as ``ExitingCPU/requestInterruptWindow(_:)`` asked.
  case interruptWindow
  /// A triple fault.
  case shutdown
  /// The hypervisor itself noticed a power event.
  case systemEvent(SystemEvent)
  /// The processor refused the guest's state; the number is the hardware's.
  case failedEntry(reason: UInt64)
  /// The hypervisor met an instruction or a state it cannot carry on with.
  case internalError(InternalError)
  /// A reason that this library does not know, by KVM's number.
  case unknown(reason: UInt32)
}

/// KVM_SYSTEM_EVENT_*.
public enum SystemEvent: Hashable, Sendable, BitwiseCopyable {
  case powerOff, reset, crash
  case other(UInt32)
}

/// KVM_INTERNAL_ERROR_*.
public enum InternalError: Hashable, Sendable, BitwiseCopyable {
  /// An instruction that the hypervisor must interpret, and cannot.
  case emulation
  case simultaneousException
  case delivery
  case unexpectedExit
  case other(UInt32)
}
