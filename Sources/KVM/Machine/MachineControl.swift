/// Which model-specific registers the guest may use; what it may not is an exit or a fault
/// (`struct kvm_msr_filter`).
public struct ModelSpecificFilter: Hashable, Sendable {
  /// For registers that no range has.
  public var isAllowedByDefault: Bool
  /// 16 at most.
  public var ranges: [Range]

  public init(isAllowedByDefault: Bool = true, ranges: [Range] = []) {
    self.isAllowedByDefault = isAllowedByDefault
    self.ranges = ranges
  }

  public struct Range: Hashable, Sendable {
    public var appliesToReads: Bool
    public var appliesToWrites: Bool
    /// The first register.
    public var base: UInt32
    /// Whether each register from the first on is allowed.
    public var isAllowed: [Bool]

    public init(
      appliesToReads: Bool = true, appliesToWrites: Bool = true, base: UInt32, isAllowed: [Bool]
    ) {
      self.appliesToReads = appliesToReads
      self.appliesToWrites = appliesToWrites
      self.base = base
      self.isAllowed = isAllowed
    }
  }
}

/// What a device or the system has to tell under a number (`struct kvm_device_attr`).
public struct DeviceAttribute: Hashable, Sendable, BitwiseCopyable {
  public var group: UInt32
  public var number: UInt64

  public init(group: UInt32, number: UInt64) {
    self.group = group
    self.number = number
  }

  /// XCR0 bits that guests can have (KVM_X86_XCOMP_GUEST_SUPP), of the system.
  public static let guestStateComponents = Self(group: 0, number: 0)
  /// What a processor's time-stamp counter is ahead of the host's (KVM_VCPU_TSC_OFFSET).
  public static let timeStampOffset = Self(group: 0, number: 0)
}

/// What else a machine can be told and asked. Any thread.
public protocol ControlledMachine: VirtualMachine {
  /// What the machine has of a capability; 0 when it lacks it (KVM_CHECK_EXTENSION).
  func check(_ capability: Capability) -> Int
  /// KVM_ENABLE_CAP
  func enable(_ capability: Capability, _ arguments: FixedArray<4, UInt64>) throws(KVMError)
  /// KVM_X86_SET_MSR_FILTER
  func setModelSpecificFilter(_ filter: ModelSpecificFilter) throws(KVMError)
  /// Whether devices of a type can be made (KVM_CREATE_DEVICE with KVM_CREATE_DEVICE_TEST).
  func canMakeDevice(type: UInt32) -> Bool
  /// KVM_HAS_DEVICE_ATTR
  func has(_ attribute: DeviceAttribute) -> Bool
  /// Counters by name (KVM_GET_STATS_FD).
  func statistics() throws(KVMError) -> [Statistic]
}

/// A machine that answers all that KVM's interface asks.
public protocol CompleteMachine: SlottedMachine, DirtyTrackingMachine, InterruptibleMachine,
  ConnectedMachine, TimedMachine, ControlledMachine
where CPU: CompleteCPU & DirtyRingCPU {}
