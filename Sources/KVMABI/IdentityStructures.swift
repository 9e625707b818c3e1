public import CLinux
public import KVM

extension CPUIDEntry {
  public init(_ entry: kvm_cpuid_entry2) {
    let hasSubleaves = entry.flags & UInt32(KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0
    self.init(
      entry.function, hasSubleaves ? entry.index : nil,
      (entry.eax, entry.ebx, entry.ecx, entry.edx))
  }
}

extension kvm_cpuid_entry2 {
  public init(_ entry: CPUIDEntry) {
    self.init()
    function = entry.leaf
    index = entry.subleaf ?? 0
    flags = entry.subleaf == nil ? 0 : UInt32(KVM_CPUID_FLAG_SIGNIFCANT_INDEX)
    (eax, ebx, ecx, edx) = (entry.eax, entry.ebx, entry.ecx, entry.edx)
  }
}

extension CPUIDEntry {
  /// The older form, which has no subleaves.
  public init(_ entry: kvm_cpuid_entry) {
    self.init(entry.function, nil, (entry.eax, entry.ebx, entry.ecx, entry.edx))
  }
}

extension ModelSpecificRegister {
  public init(_ entry: kvm_msr_entry) { self.init(entry.index, entry.data) }
}

extension kvm_msr_entry {
  public init(_ register: ModelSpecificRegister) {
    self.init(index: register.number, reserved: 0, data: register.value)
  }
}
