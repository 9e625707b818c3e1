public import KVM

extension SoftCPU: IdentifiedCPU {
  public func identification() throws(KVMError) -> [CPUIDEntry] {
    live(environment.identity.entries)
  }

  /// What of Hyper-V's interface this processor can have (KVM_GET_SUPPORTED_HV_CPUID).
  public func hyperVIdentification() throws(KVMError) -> [CPUIDEntry] {
    HyperVLeaves.all(hasLocalAPIC: environment.chips != nil)
  }

  /// The entries without the bits that follow control registers.
  static func lasting(_ entries: [CPUIDEntry]) -> [CPUIDEntry] {
    entries.map { entry in
      var entry = entry
      // OSXSAVE, MONITOR and APIC; the size of what XCR0 enables.
      if entry.leaf == 1 {
        entry.ecx &= ~(1 << 27 | 1 << 3)
        entry.edx &= ~(1 << 9)
      }
      if entry.leaf == 0xd { entry.ebx = 0 }
      return entry
    }
  }

  /// The entries with the bits that follow control registers.
  func live(_ entries: [CPUIDEntry]) -> [CPUIDEntry] {
    entries.map { entry in
      guard entry.leaf == 1 || entry.leaf == 0xd else { return entry }
      let answer = processor.identity(leaf: entry.leaf, subleaf: entry.subleaf ?? 0)
      return CPUIDEntry(
        entry.leaf, entry.subleaf, (answer.eax, answer.ebx, answer.ecx, answer.edx))
    }
  }

  public func readModelSpecific(
    _ numbers: [UInt32]
  ) throws(KVMError) -> [ModelSpecificRegister] {
    var registers: [ModelSpecificRegister] = []
    for number in numbers {
      guard let value = processor.modelSpecific(number) else { break }
      registers.append(ModelSpecificRegister(number, value))
    }
    return registers
  }

  public func writeModelSpecific(_ registers: [ModelSpecificRegister]) throws(KVMError) -> Int {
    finishInstruction()
    environment.isHostWriting = true
    defer { environment.isHostWriting = false }
    let refused = registers.firstIndex { register in
      guard register.number == Self.counter else {
        return !processor.setModelSpecific(register.number, register.value)
      }
      setCounter(register.value)
      return false
    }
    return refused ?? registers.count
  }

  /// IA32_TIME_STAMP_COUNTER
  private static let counter: UInt32 = 0x10
}
