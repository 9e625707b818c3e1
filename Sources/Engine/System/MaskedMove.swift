/// VMASKMOVPS, VMASKMOVPD, VPMASKMOVD and VPMASKMOVQ touch only the elements whose mask has its
/// sign bit set, and raise no faults of the others. Reference: SDM vol. 2C, VMASKMOV.
extension Processor {
  /// Does the masked move at the instruction pointer element by element, because its operand as a
  /// whole cannot be reached. Called while vector registers are in the helpers' save area.
  ///
  /// - Returns: The instruction's length; `nil` when it is another instruction.
  func moveMasked(at linear: UInt64) throws(GuestFault) -> UInt8? {
    let instruction = instructionAtPointer()
    guard instruction.isVEX, instruction.map == .threeByte38 else { return nil }
    let isStore: Bool
    let size: Int
    switch instruction.opcode {
    case 0x2c, 0x2d, 0x2e, 0x2f:
      isStore = instruction.opcode >= 0x2e
      size = instruction.opcode & 1 == 0 ? 4 : 8
    case 0x8c, 0x8e:
      isStore = instruction.opcode == 0x8e
      size = instruction.wide ? 8 : 4
    default: return nil
    }
    let data = unsafe savedVector(registerNumber(instruction, .modRMRegister))
    let mask = unsafe savedVector(registerNumber(instruction, .vexRegister))
    var result: InlineArray<4, UInt64> = .init(repeating: 0)
    let count = (instruction.vectorLong ? 32 : 16) / size
    if isStore { unsafe try checkStores(linear, mask, size: size, count: count) }
    for element in 0..<count {
      let place = element * size
      // The sign is in the element's last byte.
      guard unsafe mask.load(fromByteOffset: place + size - 1, as: UInt8.self) >= 0x80 else {
        continue
      }
      let address = (linear &+ UInt64(place)) & linearMask
      if isStore {
        let low = unsafe UInt64(data.load(fromByteOffset: place, as: UInt32.self))
        let value = size == 4 ? low : unsafe data.load(fromByteOffset: place, as: UInt64.self)
        try writeLinear(address, size: size, value: value, as: dataWrite)
      } else {
        let value = try readLinear(address, size: size, as: dataRead)
        result[place / 8] |= value &<< UInt64((place & 7) * 8)
      }
    }
    if !isStore {
      for word in 0..<4 {
        unsafe data.storeBytes(of: result[word], toByteOffset: word * 8, as: UInt64.self)
      }
    }
    return instruction.length
  }

  /// Raises what the selected elements' stores would, before the first of them.
  private func checkStores(
    _ linear: UInt64, _ mask: UnsafeMutableRawPointer, size: Int, count: Int
  ) throws(GuestFault) {
    for element in 0..<count {
      let last = unsafe mask.load(fromByteOffset: (element + 1) * size - 1, as: UInt8.self)
      let address = (linear &+ UInt64(element * size)) & linearMask
      if last >= 0x80 { _ = try window(address, size, as: dataWrite) }
    }
  }

  /// Where a helper call has put a YMM register.
  private func savedVector(_ number: UInt8) -> UnsafeMutableRawPointer {
    unsafe UnsafeMutableRawPointer(state) + StateLayout.vectorArea + 32 * Int(number & 15)
  }

  private func registerNumber(_ instruction: Instruction, _ place: OperandPlace) -> UInt8 {
    for index in 0..<Int(instruction.operandCount)
    where instruction.operands[index].place == place {
      return instruction.operands[index].number
    }
    return 0
  }
}
