import CLinux
import KVM
import KVMABI
import KVMSoft

extension ProcessorFile {
  /// KVM_MAX_CPUID_ENTRIES
  private static let entryLimit: UInt32 = 256
  private static let header = MemoryLayout<kvm_cpuid2>.size

  /// KVM_SET_CPUID: entries without subleaves.
  func setOldIdentification(_ argument: UserAddress) throws(KVMError) -> Int {
    let count = try argument.load(UInt32.self)
    guard count <= Self.entryLimit else { throw .tooBig }
    let entries = try argument.advanced(by: Self.header).array(
      of: kvm_cpuid_entry.self, count: Int(count))
    return try done(cpu.setCPUID(entries.map(CPUIDEntry.init)))
  }

  func setIdentification(_ argument: UserAddress) throws(KVMError) -> Int {
    let count = try argument.load(UInt32.self)
    guard count <= Self.entryLimit else { throw .tooBig }
    let entries = try argument.advanced(by: Self.header).array(
      of: kvm_cpuid_entry2.self, count: Int(count))
    return try done(cpu.setCPUID(entries.map(CPUIDEntry.init)))
  }

  func readIdentification(_ argument: UserAddress) throws(KVMError) -> Int {
    let room = try argument.load(UInt32.self)
    let entries = try cpu.identification()
    guard entries.count <= room else { throw .tooBig }
    try argument.advanced(by: Self.header).store(array: entries.map(kvm_cpuid_entry2.init))
    return try argument.put(UInt32(entries.count))
  }

  func readModelSpecific(_ argument: UserAddress) throws(KVMError) -> Int {
    let table = try ModelSpecificTable(argument)
    let numbers = table.entries.map(\.index)
    return try table.fill(cpu.readModelSpecific(numbers))
  }

  func writeModelSpecific(_ argument: UserAddress) throws(KVMError) -> Int {
    let registers = try ModelSpecificTable(argument).entries.map(ModelSpecificRegister.init)
    return try cpu.writeModelSpecific(registers)
  }
}
