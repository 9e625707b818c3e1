/// The registers of a local APIC (`struct kvm_lapic_state`): 1 KiB as the guest sees the start of
/// the APIC's page.
///
/// Reference: SDM vol. 3A, table 11-1, "Local APIC Register Address Map".
public struct LocalAPICState: Hashable, Sendable, BitwiseCopyable {
  public var bytes = FixedArray<1024, UInt8>(repeating: 0)

  public init() {}

  /// The 32-bit register at `offset`, such as 0x20 for the APIC's number.
  public subscript(offset: Int) -> UInt32 {
    get { (0..<4).reversed().reduce(0) { $0 << 8 | UInt32(bytes[offset + $1]) } }
    set {
      for byte in 0..<4 {
        bytes[offset + byte] = UInt8(truncatingIfNeeded: newValue >> (byte * 8))
      }
    }
  }
}
