/// What a processor is about to do: exceptions, interrupts and their blocking, in all detail
/// (`struct kvm_vcpu_events`).
///
/// Reference: KVM API, section 4.31, "KVM_GET_VCPU_EVENTS".
public struct ProcessorEvents: Hashable, Sendable, BitwiseCopyable {
  public var exception = ExceptionEvent()
  public var interrupt = InterruptEvent()
  public var nonMaskable = NonMaskableEvent()
  public var systemManagement = SystemManagementEvent()
  /// The vector of a startup message that came.
  public var startupVector: UInt32 = 0
  /// A triple fault waits to end the run.
  public var hasTripleFault = false
  /// Which of the parts that can be left out are meant.
  public var valid: ValidParts = []

  public init() {}

  /// KVM_VCPUEVENT_VALID_*: parts that KVM_SET_VCPU_EVENTS changes only when asked to.
  public struct ValidParts: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let nonMaskablePending = Self(rawValue: 1 << 0)
    public static let startupVector = Self(rawValue: 1 << 1)
    public static let shadow = Self(rawValue: 1 << 2)
    public static let systemManagement = Self(rawValue: 1 << 3)
    /// An exception's payload, and pending told from injected.
    public static let payload = Self(rawValue: 1 << 4)
    public static let tripleFault = Self(rawValue: 1 << 5)
  }
}

public struct ExceptionEvent: Hashable, Sendable, BitwiseCopyable {
  /// Its delivery has begun, and is to be done (again).
  public var isInjected = false
  /// It was raised, and no delivery has begun; only with KVM_CAP_EXCEPTION_PAYLOAD.
  public var isPending = false
  public var vector: UInt8 = 0
  public var errorCode: UInt32?
  /// What its delivery writes to CR2 or DR6.
  public var payload: UInt64?

  public init() {}
}

public struct InterruptEvent: Hashable, Sendable, BitwiseCopyable {
  /// It was acknowledged, and its delivery is to be done (again).
  public var isInjected = false
  public var vector: UInt8 = 0
  /// By INT n.
  public var isSoftware = false
  /// After MOV SS or STI, for one instruction.
  public var shadow: InterruptShadow = []

  public init() {}
}

/// KVM_X86_SHADOW_INT_*.
public struct InterruptShadow: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let moveToStackSegment = Self(rawValue: 1 << 0)
  public static let setInterruptFlag = Self(rawValue: 1 << 1)
}

public struct NonMaskableEvent: Hashable, Sendable, BitwiseCopyable {
  public var isInjected = false
  /// How many wait; two at most.
  public var pending: UInt8 = 0
  /// Until IRET.
  public var isBlocked = false

  public init() {}
}

public struct SystemManagementEvent: Hashable, Sendable, BitwiseCopyable {
  public var isInside = false
  public var isPending = false
  /// Non-maskable interrupts were blocked when it began.
  public var isInsideNonMaskable = false
  /// INIT came meanwhile.
  public var latchedInit = false

  public init() {}
}

/// What a processor does when it runs (KVM_MP_STATE_*).
public enum ProcessorActivity: UInt32, Hashable, Sendable, BitwiseCopyable, CaseIterable {
  case runnable = 0
  /// Waits for INIT.
  case uninitialized = 1
  /// Waits for a startup message.
  case initReceived = 2
  /// HLT.
  case halted = 3
  /// A startup message came.
  case startupReceived = 4
  case stopped = 5
  case checkStop = 6
  case operating = 7
  case load = 8
  /// Waits for the end of its reset, under SEV-ES.
  case resetHold = 9
  case suspended = 10
}
