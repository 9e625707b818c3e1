/// CR0. Reference: SDM vol. 3A, section 2.5.
public struct CR0: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable public static var protection: CR0 { CR0(rawValue: 1 << 0) }
  @inlinable public static var monitorCoprocessor: CR0 { CR0(rawValue: 1 << 1) }
  @inlinable public static var emulation: CR0 { CR0(rawValue: 1 << 2) }
  @inlinable public static var taskSwitched: CR0 { CR0(rawValue: 1 << 3) }
  @inlinable public static var extensionType: CR0 { CR0(rawValue: 1 << 4) }
  @inlinable public static var numericError: CR0 { CR0(rawValue: 1 << 5) }
  @inlinable public static var writeProtect: CR0 { CR0(rawValue: 1 << 16) }
  @inlinable public static var alignmentMask: CR0 { CR0(rawValue: 1 << 18) }
  @inlinable public static var notWriteThrough: CR0 { CR0(rawValue: 1 << 29) }
  @inlinable public static var cacheDisable: CR0 { CR0(rawValue: 1 << 30) }
  @inlinable public static var paging: CR0 { CR0(rawValue: 1 << 31) }
}

/// CR4. Reference: SDM vol. 3A, section 2.5.
public struct CR4: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable public static var virtual8086: CR4 { CR4(rawValue: 1 << 0) }
  @inlinable public static var protectedVirtualInterrupts: CR4 { CR4(rawValue: 1 << 1) }
  @inlinable public static var timeStampDisable: CR4 { CR4(rawValue: 1 << 2) }
  @inlinable public static var debuggingExtensions: CR4 { CR4(rawValue: 1 << 3) }
  @inlinable public static var pageSizeExtensions: CR4 { CR4(rawValue: 1 << 4) }
  @inlinable public static var physicalAddressExtension: CR4 { CR4(rawValue: 1 << 5) }
  @inlinable public static var machineCheck: CR4 { CR4(rawValue: 1 << 6) }
  @inlinable public static var globalPages: CR4 { CR4(rawValue: 1 << 7) }
  @inlinable public static var performanceCounters: CR4 { CR4(rawValue: 1 << 8) }
  @inlinable public static var fxsr: CR4 { CR4(rawValue: 1 << 9) }
  @inlinable public static var simdExceptions: CR4 { CR4(rawValue: 1 << 10) }
  @inlinable public static var userModeInstructionPrevention: CR4 { CR4(rawValue: 1 << 11) }
  @inlinable public static var la57: CR4 { CR4(rawValue: 1 << 12) }
  @inlinable public static var fsgsbase: CR4 { CR4(rawValue: 1 << 16) }
  @inlinable public static var processContextIDs: CR4 { CR4(rawValue: 1 << 17) }
  @inlinable public static var xsave: CR4 { CR4(rawValue: 1 << 18) }
  @inlinable public static var supervisorExecutionPrevention: CR4 { CR4(rawValue: 1 << 20) }
  @inlinable public static var supervisorAccessPrevention: CR4 { CR4(rawValue: 1 << 21) }
}

/// IA32_EFER. Reference: SDM vol. 3A, section 2.2.1.
public struct EFER: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable public static var systemCall: EFER { EFER(rawValue: 1 << 0) }
  @inlinable public static var longModeEnable: EFER { EFER(rawValue: 1 << 8) }
  @inlinable public static var longModeActive: EFER { EFER(rawValue: 1 << 10) }
  @inlinable public static var noExecute: EFER { EFER(rawValue: 1 << 11) }
}

/// RFLAGS. Reference: SDM vol. 1, section 3.4.3.
public struct RFLAGS: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable public static var carry: RFLAGS { RFLAGS(rawValue: 1 << 0) }
  /// Bit 1, which always reads as one.
  @inlinable public static var fixed: RFLAGS { RFLAGS(rawValue: 1 << 1) }
  @inlinable public static var parity: RFLAGS { RFLAGS(rawValue: 1 << 2) }
  @inlinable public static var auxiliary: RFLAGS { RFLAGS(rawValue: 1 << 4) }
  @inlinable public static var zero: RFLAGS { RFLAGS(rawValue: 1 << 6) }
  @inlinable public static var sign: RFLAGS { RFLAGS(rawValue: 1 << 7) }
  @inlinable public static var trap: RFLAGS { RFLAGS(rawValue: 1 << 8) }
  @inlinable public static var interrupt: RFLAGS { RFLAGS(rawValue: 1 << 9) }
  @inlinable public static var direction: RFLAGS { RFLAGS(rawValue: 1 << 10) }
  @inlinable public static var overflow: RFLAGS { RFLAGS(rawValue: 1 << 11) }
  @inlinable public static var ioPrivilege: RFLAGS { RFLAGS(rawValue: 3 << 12) }
  @inlinable public static var nestedTask: RFLAGS { RFLAGS(rawValue: 1 << 14) }
  @inlinable public static var resume: RFLAGS { RFLAGS(rawValue: 1 << 16) }
  @inlinable public static var virtual8086: RFLAGS { RFLAGS(rawValue: 1 << 17) }
  @inlinable public static var alignmentCheck: RFLAGS { RFLAGS(rawValue: 1 << 18) }
  @inlinable public static var virtualInterrupt: RFLAGS { RFLAGS(rawValue: 1 << 19) }
  @inlinable public static var virtualInterruptPending: RFLAGS { RFLAGS(rawValue: 1 << 20) }
  @inlinable public static var identification: RFLAGS { RFLAGS(rawValue: 1 << 21) }
  /// The six flags that arithmetic sets.
  @inlinable public static var arithmetic: RFLAGS { RFLAGS(rawValue: 0x8d5) }
}
