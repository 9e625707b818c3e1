/// A machine check that one bank of the processor reports (`struct kvm_x86_mce`).
///
/// Reference: SDM vol. 3B, section 16.3.
public struct MachineCheck: Hashable, Sendable, BitwiseCopyable {
  /// IA32_MCi_STATUS, IA32_MCi_ADDR and IA32_MCi_MISC.
  public var status: UInt64
  public var address: UInt64
  public var miscellaneous: UInt64
  /// IA32_MCG_STATUS.
  public var globalStatus: UInt64
  public var bank: UInt8

  public init(
    bank: UInt8, status: UInt64, address: UInt64 = 0, miscellaneous: UInt64 = 0,
    globalStatus: UInt64 = 0
  ) {
    self.bank = bank
    self.status = status
    self.address = address
    self.miscellaneous = miscellaneous
    self.globalStatus = globalStatus
  }
}
