internal import CLinux
public import KVM
import KVMABI

extension KernelCPU {
  public func registers() throws(KVMError) -> Registers {
    var values = kvm_regs()
    try file.call(.KVM_GET_REGS, with: &values)
    return Registers(values)
  }

  public func setRegisters(_ registers: Registers) throws(KVMError) {
    var values = kvm_regs(registers)
    try file.call(.KVM_SET_REGS, with: &values)
  }

  public func specialRegisters() throws(KVMError) -> SpecialRegisters {
    var values = kvm_sregs()
    try file.call(.KVM_GET_SREGS, with: &values)
    return SpecialRegisters(values)
  }

  public func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError) {
    var values = kvm_sregs(registers)
    try file.call(.KVM_SET_SREGS, with: &values)
  }

  public func modelSpecificRegisters(
    _ numbers: [UInt32]
  ) throws(KVMError) -> [ModelSpecificRegister] {
    let wanted = numbers.map { kvm_msr_entry(index: $0, reserved: 0, data: 0) }
    var table = EntryTable(header: MemoryLayout<kvm_msrs>.size, wanted)
    let done = try file.call(.KVM_GET_MSRS, table: &table)
    guard done == numbers.count else { throw Self.unknownRegister(numbers, done, "KVM_GET_MSRS") }
    return table.entries.map { ModelSpecificRegister($0.index, $0.data) }
  }

  public func setModelSpecificRegisters(
    _ registers: [ModelSpecificRegister]
  ) throws(KVMError) {
    let entries = registers.map { kvm_msr_entry(index: $0.number, reserved: 0, data: $0.value) }
    var table = EntryTable(header: MemoryLayout<kvm_msrs>.size, entries)
    let done = try file.call(.KVM_SET_MSRS, table: &table)
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
    try file.call(.KVM_SET_CPUID2, table: &table)
  }

  public func inject(interrupt vector: UInt8) throws(KVMError) {
    var interrupt = kvm_interrupt(irq: UInt32(vector))
    try file.call(.KVM_INTERRUPT, with: &interrupt)
  }
}
