internal import CLinux
public import KVM
import KVMABI

extension KernelCPU {
  public func setCPUID(_ entries: [CPUIDEntry]) throws(KVMError) {
    var table = EntryTable(
      header: MemoryLayout<kvm_cpuid2>.size, entries.map(kvm_cpuid_entry2.init))
    try file.call(.KVM_SET_CPUID2, table: &table)
  }

  public func modelSpecificRegisters(
    _ numbers: [UInt32]
  ) throws(KVMError) -> [ModelSpecificRegister] {
    let registers = try readModelSpecific(numbers)
    guard registers.count == numbers.count else {
      throw Self.unknownRegister(numbers[registers.count], .KVM_GET_MSRS)
    }
    return registers
  }

  public func setModelSpecificRegisters(
    _ registers: [ModelSpecificRegister]
  ) throws(KVMError) {
    let done = try writeModelSpecific(registers)
    guard done == registers.count else {
      throw Self.unknownRegister(registers[done].number, .KVM_SET_MSRS)
    }
  }

  /// KVM stops at the first register it refuses and returns how many it did.
  private static func unknownRegister(_ number: UInt32, _ request: KVMRequest) -> KVMError {
    let number = String(number, radix: 16)
    return .unsupported("\(request) refused the model-specific register 0x\(number).")
  }
}

extension KernelCPU: IdentifiedCPU {
  public func identification() throws(KVMError) -> [CPUIDEntry] {
    try identification(.KVM_GET_CPUID2)
  }

  public func hyperVIdentification() throws(KVMError) -> [CPUIDEntry] {
    try identification(.KVM_GET_SUPPORTED_HV_CPUID)
  }

  private func identification(_ request: KVMRequest) throws(KVMError) -> [CPUIDEntry] {
    let entries: [kvm_cpuid_entry2] = try file.table(
      request, header: MemoryLayout<kvm_cpuid2>.size)
    return entries.map(CPUIDEntry.init)
  }

  public func readModelSpecific(
    _ numbers: [UInt32]
  ) throws(KVMError) -> [ModelSpecificRegister] {
    try file.readModelSpecific(numbers)
  }

  public func writeModelSpecific(
    _ registers: [ModelSpecificRegister]
  ) throws(KVMError) -> Int {
    var table = EntryTable(
      header: MemoryLayout<kvm_msrs>.size, registers.map(kvm_msr_entry.init))
    return try file.call(.KVM_SET_MSRS, table: &table)
  }
}

extension KVMFile {
  /// Of a processor its registers, of the system its features.
  func readModelSpecific(_ numbers: [UInt32]) throws(KVMError) -> [ModelSpecificRegister] {
    let wanted = numbers.map { kvm_msr_entry(index: $0, reserved: 0, data: 0) }
    var table = EntryTable(header: MemoryLayout<kvm_msrs>.size, wanted)
    let done = try call(.KVM_GET_MSRS, table: &table)
    return table.entries.prefix(done).map(ModelSpecificRegister.init)
  }
}
