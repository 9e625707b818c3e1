internal import X86

/// VGATHER and VPGATHER: one load for each element whose mask has its sign bit set.
///
/// A fault leaves the elements before it loaded and their masks clear, so that the instruction
/// goes on where it stopped. Reference: SDM vol. 2C, VGATHERDPS.
extension Processor {
  func gather(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    fillInitialState()
    componentsPresent |= ExtendedState.streaming | ExtendedState.vector
    let destination = instruction.operands[0].number
    let mask = instruction.operands[2].number
    // 90 and 92 have 32-bit indices, 91 and 93 64-bit ones.
    let indexSize = instruction.opcode & 1 == 0 ? 4 : 8
    let size = instruction.wide ? 8 : 4
    let count = (instruction.vectorLong ? 32 : 16) / max(indexSize, size)
    guard destination != mask, destination != instruction.index, mask != instruction.index else {
      throw .undefined
    }
    for element in 0..<count {
      let selected = vectorElement(mask, element, size: size) >> UInt64(size * 8 - 1) & 1 != 0
      if selected {
        let address = gatherAddress(
          instruction, index: vectorElement(instruction.index, element, size: indexSize),
          size: indexSize)
        let value = try readLinear(address, size: size, as: dataRead)
        setVectorElement(destination, element, size: size, to: value)
      }
      setVectorElement(mask, element, size: size, to: 0)
    }
    clearVector(destination, from: count * size)
    clearVector(mask, from: 0)
    return .next
  }

  private func gatherAddress(
    _ instruction: borrowing Instruction, index: UInt64, size: Int
  ) -> UInt64 {
    let signed = size == 4 ? UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: index))) : index
    let hasBase = instruction.base != Instruction.noRegister
    let base = hasBase ? cpu.registers[Int(instruction.base)] : 0
    var offset = base &+ signed &<< UInt64(instruction.scaleShift)
    offset = offset &+ UInt64(bitPattern: instruction.displacement)
    if instruction.addressSize == 4 { offset &= 0xffff_ffff }
    let segment = instruction.segment
    let usesBase = !cpu.is64Bit || segment >= SegmentName.fs.rawValue
    return (offset &+ (usesBase ? cpu.segments[Int(segment)].base : 0)) & linearMask
  }

  /// Where byte `offset` of a YMM register is in the image.
  private func vectorPlace(_ register: UInt8, _ offset: Int) -> Int {
    offset < 16
      ? ExtendedState.streamingRegisters + 16 * Int(register) + offset
      : ExtendedState.vectorRegisters + 16 * Int(register) + offset - 16
  }

  private func vectorElement(_ register: UInt8, _ element: Int, size: Int) -> UInt64 {
    let place = vectorPlace(register, element * size)
    return size == 4
      ? UInt64(unsafe extendedArea.load(fromByteOffset: place, as: UInt32.self))
      : unsafe extendedArea.load(fromByteOffset: place, as: UInt64.self)
  }

  private func setVectorElement(
    _ register: UInt8, _ element: Int, size: Int, to value: UInt64
  ) {
    let place = vectorPlace(register, element * size)
    if size == 4 {
      unsafe extendedArea.storeBytes(
        of: UInt32(truncatingIfNeeded: value), toByteOffset: place, as: UInt32.self)
    } else {
      unsafe extendedArea.storeBytes(of: value, toByteOffset: place, as: UInt64.self)
    }
  }

  /// Clears a YMM register from byte `start` to its end.
  private func clearVector(_ register: UInt8, from start: Int) {
    for element in start / 4..<8 { setVectorElement(register, element, size: 4, to: 0) }
  }
}
