/// The guest's own debug registers (`struct kvm_debugregs`).
public struct DebugRegisters: Hashable, Sendable, BitwiseCopyable {
  /// DR0 to DR3.
  public var addresses = FixedArray<4, UInt64>(repeating: 0)
  public var dr6: UInt64 = 0xffff_0ff0
  public var dr7: UInt64 = 0x400

  public init() {}
}

/// How a guest is debugged from outside (`struct kvm_guest_debug`).
public struct GuestDebug: Hashable, Sendable, BitwiseCopyable {
  public var control: Control = []
  /// DR0 to DR7 as the debugger wants them; used with ``Control/hardwareBreakpoints``.
  public var debugRegisters = FixedArray<8, UInt64>(repeating: 0)

  public init(_ control: Control = []) { self.control = control }

  /// KVM_GUESTDBG_*.
  public struct Control: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Without it, nothing else counts.
    public static let enable = Self(rawValue: 1 << 0)
    /// Each instruction ends the run.
    public static let singleStep = Self(rawValue: 1 << 1)
    /// INT3 ends the run, instead of raising #BP.
    public static let softwareBreakpoints = Self(rawValue: 1 << 16)
    public static let hardwareBreakpoints = Self(rawValue: 1 << 17)
    /// Raises #DB in the guest.
    public static let injectDebug = Self(rawValue: 1 << 18)
    /// Raises #BP in the guest.
    public static let injectBreakpoint = Self(rawValue: 1 << 19)
    /// No interrupts while single-stepping.
    public static let blockInterrupts = Self(rawValue: 1 << 20)
  }
}

/// Where a linear address leads (`struct kvm_translation`).
public struct Translation: Hashable, Sendable, BitwiseCopyable {
  public var linearAddress: UInt64
  /// `nil` when the page tables lead nowhere.
  public var physicalAddress: UInt64?
  public var isWritable: Bool
  public var isUserMode: Bool

  public init(
    linearAddress: UInt64, physicalAddress: UInt64?, isWritable: Bool = true,
    isUserMode: Bool = false
  ) {
    self.linearAddress = linearAddress
    self.physicalAddress = physicalAddress
    self.isWritable = isWritable
    self.isUserMode = isUserMode
  }
}
