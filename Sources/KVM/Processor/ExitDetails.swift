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

/// Why an access to a model-specific register left the hypervisor (KVM_MSR_EXIT_REASON_*). Also
/// the set of reasons that KVM_CAP_X86_USER_SPACE_MSR asks for.
public struct ModelSpecificExitReason: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The value, or the access in this state, is invalid.
  public static let invalid = Self(rawValue: 1 << 0)
  /// The hypervisor does not know the register.
  public static let unknown = Self(rawValue: 1 << 1)
  /// The filter says so.
  public static let filtered = Self(rawValue: 1 << 2)
}

/// A guest's call of the hypervisor.
///
/// Reference: Documentation/virt/kvm/x86/hypercalls.rst.
public struct Hypercall: Hashable, Sendable, BitwiseCopyable {
  public var number: UInt64
  public var arguments: FixedArray<6, UInt64>
  public var isLongMode: Bool

  public init(number: UInt64, arguments: FixedArray<6, UInt64>, isLongMode: Bool) {
    self.number = number
    self.arguments = arguments
    self.isLongMode = isLongMode
  }
}

/// KVM_EXIT_HYPERV_*.
public enum HyperVExit: Hashable, Sendable, BitwiseCopyable {
  /// A register of the synthetic interrupt controller changed.
  case synic(register: UInt32, control: UInt64, eventPage: UInt64, messagePage: UInt64)
  case hypercall(input: UInt64, FixedArray<2, UInt64>)
  /// The synthetic debugger: control, status, send, receive and pending page.
  case debugger(register: UInt32, FixedArray<5, UInt64>)
}

/// A debug event that belongs to whoever debugs the guest (`struct kvm_debug_exit_arch`).
public struct DebugExit: Hashable, Sendable, BitwiseCopyable {
  /// 1 (#DB) or 3 (#BP).
  public var exception: UInt32
  /// The linear address of the instruction.
  public var address: UInt64
  public var dr6: UInt64
  public var dr7: UInt64

  public init(exception: UInt32, address: UInt64, dr6: UInt64, dr7: UInt64) {
    self.exception = exception
    self.address = address
    self.dr6 = dr6
    self.dr7 = dr7
  }
}

/// A range of guest memory that could not be accessed.
public struct MemoryFault: Hashable, Sendable, BitwiseCopyable {
  /// KVM_MEMORY_EXIT_FLAG_*.
  public var flags: UInt64
  public var address: UInt64
  /// In bytes.
  public var size: UInt64

  public init(flags: UInt64 = 0, address: UInt64, size: UInt64) {
    self.flags = flags
    self.address = address
    self.size = size
  }
}
