internal import CLinux
public import KVM

extension KernelCPU {
  public func registers() throws(KVMError) -> Registers {
    var values = kvm_regs()
    try file.call(apus_kvm_get_regs, with: &values, named: "KVM_GET_REGS")
    return Registers(values)
  }

  public func setRegisters(_ registers: Registers) throws(KVMError) {
    var values = kvm_regs(registers)
    try file.call(apus_kvm_set_regs, with: &values, named: "KVM_SET_REGS")
  }

  public func specialRegisters() throws(KVMError) -> SpecialRegisters {
    var values = kvm_sregs()
    try file.call(apus_kvm_get_sregs, with: &values, named: "KVM_GET_SREGS")
    return SpecialRegisters(values)
  }

  public func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError) {
    var values = kvm_sregs(registers)
    try file.call(apus_kvm_set_sregs, with: &values, named: "KVM_SET_SREGS")
  }

  public func modelSpecificRegisters(
    _ numbers: [UInt32]
  ) throws(KVMError) -> [ModelSpecificRegister] {
    let wanted = numbers.map { kvm_msr_entry(index: $0, reserved: 0, data: 0) }
    var table = EntryTable(header: MemoryLayout<kvm_msrs>.size, wanted)
    let done = try file.call(apus_kvm_get_msrs, table: &table, named: "KVM_GET_MSRS")
    guard done == numbers.count else { throw Self.unknownRegister(numbers, done, "KVM_GET_MSRS") }
    return table.entries.map { ModelSpecificRegister($0.index, $0.data) }
  }

  public func setModelSpecificRegisters(
    _ registers: [ModelSpecificRegister]
  ) throws(KVMError) {
    let entries = registers.map { kvm_msr_entry(index: $0.number, reserved: 0, data: $0.value) }
    var table = EntryTable(header: MemoryLayout<kvm_msrs>.size, entries)
    let done = try file.call(apus_kvm_set_msrs, table: &table, named: "KVM_SET_MSRS")
    guard done == registers.count else {
      throw Self.unknownRegister(registers.map(\.number), done, "KVM_SET_MSRS")
    }
  }

  /// KVM stops at the first register it refuses and returns how many it did.
  private static func unknownRegister(
    _ numbers: [UInt32], _ done: Int, _ call: String
  ) -> KVMError {
    let number = numbers.indices.contains(done) ? String(numbers[done], radix: 16) : "?"
    return .unsupported("\(call) refused the model-specific register 0x\(number).")
  }

  public func setCPUID(_ entries: [CPUIDEntry]) throws(KVMError) {
    var table = EntryTable(
      header: MemoryLayout<kvm_cpuid2>.size, entries.map(kvm_cpuid_entry2.init))
    try file.call(apus_kvm_set_cpuid2, table: &table, named: "KVM_SET_CPUID2")
  }

  public func inject(interrupt vector: UInt8) throws(KVMError) {
    var interrupt = kvm_interrupt(irq: UInt32(vector))
    try file.call(apus_kvm_interrupt, with: &interrupt, named: "KVM_INTERRUPT")
  }
}
