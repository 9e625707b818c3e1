/// CR0. Reference: SDM vol. 3A, section 2.5.
public struct CR0: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let protection = CR0(rawValue: 1 << 0)
  public static let monitorCoprocessor = CR0(rawValue: 1 << 1)
  public static let emulation = CR0(rawValue: 1 << 2)
  public static let taskSwitched = CR0(rawValue: 1 << 3)
  public static let extensionType = CR0(rawValue: 1 << 4)
  public static let numericError = CR0(rawValue: 1 << 5)
  public static let writeProtect = CR0(rawValue: 1 << 16)
  public static let alignmentMask = CR0(rawValue: 1 << 18)
  public static let notWriteThrough = CR0(rawValue: 1 << 29)
  public static let cacheDisable = CR0(rawValue: 1 << 30)
  public static let paging = CR0(rawValue: 1 << 31)
}

/// CR4. Reference: SDM vol. 3A, section 2.5.
public struct CR4: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let virtual8086 = CR4(rawValue: 1 << 0)
  public static let protectedVirtualInterrupts = CR4(rawValue: 1 << 1)
  public static let timeStampDisable = CR4(rawValue: 1 << 2)
  public static let debuggingExtensions = CR4(rawValue: 1 << 3)
  public static let pageSizeExtensions = CR4(rawValue: 1 << 4)
  public static let physicalAddressExtension = CR4(rawValue: 1 << 5)
  public static let machineCheck = CR4(rawValue: 1 << 6)
  public static let globalPages = CR4(rawValue: 1 << 7)
  public static let performanceCounters = CR4(rawValue: 1 << 8)
  public static let fxsr = CR4(rawValue: 1 << 9)
  public static let simdExceptions = CR4(rawValue: 1 << 10)
  public static let userModeInstructionPrevention = CR4(rawValue: 1 << 11)
  public static let la57 = CR4(rawValue: 1 << 12)
  public static let fsgsbase = CR4(rawValue: 1 << 16)
  public static let processContextIDs = CR4(rawValue: 1 << 17)
  public static let xsave = CR4(rawValue: 1 << 18)
  public static let supervisorExecutionPrevention = CR4(rawValue: 1 << 20)
  public static let supervisorAccessPrevention = CR4(rawValue: 1 << 21)
}

/// IA32_EFER. Reference: SDM vol. 3A, section 2.2.1.
public struct EFER: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let systemCall = EFER(rawValue: 1 << 0)
  public static let longModeEnable = EFER(rawValue: 1 << 8)
  public static let longModeActive = EFER(rawValue: 1 << 10)
  public static let noExecute = EFER(rawValue: 1 << 11)
}

/// RFLAGS. Reference: SDM vol. 1, section 3.4.3.
public struct RFLAGS: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let carry = RFLAGS(rawValue: 1 << 0)
  /// Bit 1, which always reads as one.
  public static let fixed = RFLAGS(rawValue: 1 << 1)
  public static let parity = RFLAGS(rawValue: 1 << 2)
  public static let auxiliary = RFLAGS(rawValue: 1 << 4)
  public static let zero = RFLAGS(rawValue: 1 << 6)
  public static let sign = RFLAGS(rawValue: 1 << 7)
  public static let trap = RFLAGS(rawValue: 1 << 8)
  public static let interrupt = RFLAGS(rawValue: 1 << 9)
  public static let direction = RFLAGS(rawValue: 1 << 10)
  public static let overflow = RFLAGS(rawValue: 1 << 11)
  public static let ioPrivilege = RFLAGS(rawValue: 3 << 12)
  public static let nestedTask = RFLAGS(rawValue: 1 << 14)
  public static let resume = RFLAGS(rawValue: 1 << 16)
  public static let virtual8086 = RFLAGS(rawValue: 1 << 17)
  public static let alignmentCheck = RFLAGS(rawValue: 1 << 18)
  public static let virtualInterrupt = RFLAGS(rawValue: 1 << 19)
  public static let virtualInterruptPending = RFLAGS(rawValue: 1 << 20)
  public static let identification = RFLAGS(rawValue: 1 << 21)
  /// The six flags that arithmetic sets.
  public static let arithmetic = RFLAGS(rawValue: 0x8d5)
}
