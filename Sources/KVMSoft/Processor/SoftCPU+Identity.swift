public import KVM

extension SoftCPU: IdentifiedCPU {
  public func identification() throws(KVMError) -> [CPUIDEntry] { environment.identity.entries }

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
    let refused = registers.firstIndex { !processor.setModelSpecific($0.number, $0.value) }
    return refused ?? registers.count
  }
}
