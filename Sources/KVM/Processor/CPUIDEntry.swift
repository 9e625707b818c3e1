/// One row of what CPUID answers (`struct kvm_cpuid_entry2`).
public struct CPUIDEntry: Hashable, Sendable, BitwiseCopyable {
  /// EAX as the guest passes it.
  public var leaf: UInt32
  /// ECX as the guest passes it; `nil` where the leaf has no subleaves.
  public var subleaf: UInt32?
  public var eax: UInt32
  public var ebx: UInt32
  public var ecx: UInt32
  public var edx: UInt32

  public init(
    _ leaf: UInt32, _ subleaf: UInt32? = nil,
    _ registers: (eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32)
  ) {
    self.leaf = leaf
    self.subleaf = subleaf
    (eax, ebx, ecx, edx) = registers
  }
}

extension [CPUIDEntry] {
  /// The same features, told as processor `index` of `count` sees them: its APIC id, and `count`
  /// cores in one package.
  ///
  /// Reference: SDM vol. 2A, CPUID leaves 1, 4 and 0BH; APM vol. 3, 8000_0008 and 8000_001E.
  public func describing(cpu index: UInt32, of count: UInt32) -> Self {
    // Bits of the APIC id that tell cores of the package apart.
    let bits = UInt32(UInt32.bitWidth - (Swift.max(count, 1) - 1).leadingZeroBitCount)
    return map { entry in
      var entry = entry
      switch (entry.leaf, entry.subleaf) {
      case (0x1, _):
        entry.ebx = (entry.ebx & 0xff00) | Swift.min(count, 255) << 16 | (index & 0xff) << 24
        entry.edx = count > 1 ? entry.edx | 1 << 28 : entry.edx & ~(1 << 28)
      case (0xb, 0?):
        (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 1, 1 << 8, index)
      case (0xb, 1?):
        (entry.eax, entry.ebx, entry.ecx, entry.edx) = (bits, count, 1 | 2 << 8, index)
      case (0x8000_0008, _):
        entry.ecx = (bits << 12) | (Swift.min(count, 256) - 1)
      case (0x8000_001e, _):
        (entry.eax, entry.ebx, entry.ecx) = (index, index, 0)
      default: break
      }
      return entry
    }
  }
}
