/// Which of the interrupt controllers (KVM_IRQCHIP_*).
public enum InterruptChip: UInt32, Hashable, Sendable, BitwiseCopyable, CaseIterable {
  case primaryPIC = 0
  case secondaryPIC = 1
  case ioAPIC = 2
}

/// One controller's state (`struct kvm_irqchip`).
public enum InterruptChipState: Hashable, Sendable, BitwiseCopyable {
  case primaryPIC(PICState)
  case secondaryPIC(PICState)
  case ioAPIC(IOAPICState)

  public var chip: InterruptChip {
    switch self {
    case .primaryPIC: .primaryPIC
    case .secondaryPIC: .secondaryPIC
    case .ioAPIC: .ioAPIC
    }
  }
}

/// An 8259 (`struct kvm_pic_state`); the names are the kernel's, spelled out.
public struct PICState: Hashable, Sendable, BitwiseCopyable {
  /// The inputs' last levels, by which edges are found.
  public var lastRequests: UInt8 = 0
  /// IRR, IMR and ISR.
  public var requests: UInt8 = 0
  public var mask: UInt8 = 0
  public var inService: UInt8 = 0
  /// The input of highest priority.
  public var highestPriority: UInt8 = 0
  public var vectorBase: UInt8 = 0
  /// Whether a read gives ISR instead of IRR.
  public var readRegisterSelect: UInt8 = 0
  public var poll: UInt8 = 0
  public var specialMask: UInt8 = 0
  /// How far its initialization is: 0 when it is over.
  public var initializationState: UInt8 = 0
  public var automaticEnd: UInt8 = 0
  public var rotateOnAutomaticEnd: UInt8 = 0
  public var specialFullyNested: UInt8 = 0
  /// Whether its initialization takes a fourth word.
  public var hasFourthWord: UInt8 = 0
  /// ELCR, and which of its bits can be set.
  public var levelTriggered: UInt8 = 0
  public var levelTriggeredMask: UInt8 = 0

  public init() {}
}

/// An I/O APIC (`struct kvm_ioapic_state`).
public struct IOAPICState: Hashable, Sendable, BitwiseCopyable {
  public var baseAddress: UInt64 = 0xfec0_0000
  /// IOREGSEL.
  public var registerSelect: UInt32 = 0
  public var id: UInt32 = 0
  /// The inputs' requests.
  public var requests: UInt32 = 0
  /// The redirection table as the guest reads it.
  public var redirections = FixedArray<24, UInt64>(repeating: 1 << 16)

  public init() {}
}
