import CNative
import Engine

// Which instructions may run natively, and what must come before them to make their operands
// meaningful most of the time.
extension SnippetGenerator {
  /// Whether the instruction does the same in the child process as in the guest, by itself.
  func isAcceptable(_ instruction: Instruction) -> Bool {
    if instruction.prefixes.contains([.repeated, .repeatNotEqual]) { return false }
    if isCompatibility && [1, 4, 5].contains(instruction.segment) { return false }
    switch instruction.operation {
    case .plain: return isAcceptablePlain(instruction)
    // On some processors F2 and F3 change the condition of LOOPcc.
    case .jumpCounter:
      return instruction.prefixes.isDisjoint(with: [.operandSize, .repeated, .repeatNotEqual])
    case .jump, .jumpConditional, .call, .jumpIndirect, .callIndirect, .returnNear:
      // Processors disagree on what 66 does to a near branch in 64-bit code; in 32-bit code it
      // cuts the target to 16 bits.
      return !instruction.prefixes.contains(.operandSize)
    // In 32-bit code, some processors write the upper half of the slot, too.
    case .pushSegment: return !isCompatibility || instruction.operandSize == 2
    // TF would show in what is pushed, when the guest is stepped.
    case .pushFlags: return !isStepped
    case .push, .pop, .pushAll, .popAll, .enter, .leave, .moveString, .compareString,
      .storeString, .loadString, .scanString, .loadAddress, .moveOffset, .translateByte,
      .shiftByCount, .bitString, .compareExchangeWide, .maskedMove, .gather,
      .compareStringsIndex, .noOperation, .pause, .decimal, .bound,
      .moveFromSegment, .clearDirection, .setDirection:
      return true
    // Forbidden at privilege level 3, all of them.
    case .input, .output, .inputString, .outputString, .clearInterrupt, .setInterrupt, .halt,
      .moveFromControl, .moveToControl, .moveFromDebug, .moveToDebug, .invalidatePage,
      .invalidateCaches, .readModelSpecific, .writeModelSpecific, .clearTaskSwitched,
      .loadDescriptorTable, .loadLocalSelector, .loadMachineStatus:
      return instruction.modRM % 8 == 1
    default: return false
    }
  }

  private func isAcceptablePlain(_ instruction: Instruction) -> Bool {
    switch (instruction.map, instruction.opcode) {
    case (.twoByte, 0xc7):
      // RDRAND and RDSEED.
      return instruction.modRMRegister < 6
    case (.oneByte, 0x90):
      // With REX.B, F3 makes PAUSE of it on some processors.
      return !instruction.prefixes.contains(.repeated)
    case (.twoByte, 0x77):
      // VZEROALL and VZEROUPPER in 32-bit code: the engine clears the upper eight registers, too.
      return !(isCompatibility && instruction.isVEX)
    case (.oneByte, 0xd9), (.oneByte, 0xdd):
      // FNSTENV and FNSAVE store the address of the last x87 instruction.
      return !(instruction.modRM < 0xc0 && instruction.modRMRegister == 6)
    default: return true
    }
  }

  /// Completes an item's displacement, and puts instructions before it that give its registers
  /// values that lead somewhere.
  mutating func prepare(
    _ item: inout SnippetItem, _ instruction: Instruction, _ snippet: inout Snippet
  ) {
    let length = Int(instruction.length)
    switch instruction.operation {
    case .jump, .jumpConditional, .jumpCounter, .call:
      let size = Int(instruction.immediateSize)
      item.patch = .branch(at: length - size, size: size, to: 0)
    case .jumpIndirect, .callIndirect: return prepareIndirect(&item, instruction, &snippet)
    case .returnNear:
      if random.chance(90) {
        snippet.items.append(
          SnippetItem(bytes: [0x68, 0, 0, 0, 0], patch: .absolute(at: 1, to: 0)))
      }
    case .moveOffset:
      let size = Int(instruction.addressSize)
      if size >= 4 {
        item.bytes.replaceSubrange(
          length - size..<length, with: Snippet.littleEndian(randomTarget(), size))
      }
    default: break
    }
    prepareImplied(instruction, &snippet)
    prepareMemory(&item, instruction, &snippet, target: randomTarget())
    if usesStack(instruction), random.chance(10) {
      snippet.items.append(load(4, Self.data + 0x100 + UInt64(random.below(0x1e00))))
    }
  }

  private mutating func prepareIndirect(
    _ item: inout SnippetItem, _ instruction: Instruction, _ snippet: inout Snippet
  ) {
    if instruction.hasMemory {
      // mov dword [target], item; and the upper half
      let target = Self.data + UInt64(random.below(0x1ff0))
      let address = Snippet.littleEndian(target, 4)
      let form: [UInt8] = isCompatibility ? [0xc7, 0x05] : [0xc7, 0x04, 0x25]
      let next = Snippet.littleEndian(target + 4, 4)
      snippet.items.append(SnippetItem(bytes: form + next + [0, 0, 0, 0]))
      let prefix = isCompatibility ? 6 : 7
      let base = snippet.items.count
      prepareMemory(&item, instruction, &snippet, target: target, always: true)
      let store = SnippetItem(
        bytes: form + address + [0, 0, 0, 0], patch: .absolute(at: prefix, to: 0))
      snippet.items.insert(store, at: base)
    } else {
      let number = instruction.operands[0].number
      let rex: [UInt8] = number >= 8 ? [0x41] : []
      snippet.items.append(
        SnippetItem(
          bytes: rex + [0xb8 | number & 7, 0, 0, 0, 0],
          patch: .absolute(at: rex.count + 1, to: 0)))
    }
  }

  /// Somewhere in the data pages: aligned, unaligned, across a page's end, or beyond them.
  mutating func randomTarget() -> UInt64 {
    switch random.below(100) {
    case 0..<40: Self.data + UInt64(random.below(0x200)) * 16
    case 40..<75: Self.data + UInt64(random.below(0x2000))
    case 75..<88: Self.data + 0x1000 - UInt64(random.below(40))
    case 88..<92: Self.data + 0x2000 - UInt64(random.below(40))
    case 92..<96: Self.data + 0x2000 + UInt64(random.below(0x1000))
    case 96..<98: Self.data + 0x3000 - UInt64(random.below(40))
    default: Self.data - UInt64(random.below(40))
    }
  }

  /// `mov register, value`.
  func load(_ number: UInt8, _ value: UInt64) -> SnippetItem {
    let low: UInt8 = number & 7
    if isCompatibility || value >> 32 == 0 {
      let rex: [UInt8] = number >= 8 ? [0x41] : []
      return SnippetItem(bytes: rex + [0xb8 | low] + Snippet.littleEndian(value, 4))
    }
    return SnippetItem(
      bytes: [0x48 | number >> 3, 0xb8 | low] + Snippet.littleEndian(value, 8))
  }

  private func usesStack(_ instruction: Instruction) -> Bool {
    switch instruction.operation {
    case .push, .pop, .pushFlags, .pushAll, .popAll, .enter, .leave, .call, .callIndirect,
      .returnNear, .pushSegment:
      true
    default: false
    }
  }

  /// What keeps flags that an instruction leaves undefined, and that the engine computes itself,
  /// from being compared: one that is defined is looked at, and then all are set.
  mutating func followUp(_ instruction: Instruction, _ snippet: inout Snippet) {
    guard instruction.operation == .decimal, instruction.opcode != 0xd6 else { return }
    let defined: [UInt8] =
      switch instruction.opcode {
      case 0x27, 0x2f: [0x92, 0x94, 0x98, 0x9a]
      case 0xd4, 0xd5: [0x94, 0x98, 0x9a]
      default: [0x92]
      }
    snippet.items.append(SnippetItem(bytes: [0x0f, random.pick(defined), 0xc2, 0x85, 0xc0]))
  }

  /// Registers that the instruction uses without naming them.
  private mutating func prepareImplied(_ instruction: Instruction, _ snippet: inout Snippet) {
    guard random.chance(85) else { return }
    func isDivision() -> Bool {
      instruction.map == .oneByte && instruction.opcode & 0xfe == 0xf6
        && instruction.modRMRegister >= 6
    }
    switch instruction.operation {
    case .moveString, .compareString, .storeString, .loadString, .scanString:
      snippet.items.append(load(6, randomTarget()))
      snippet.items.append(load(7, randomTarget()))
      snippet.items.append(load(1, UInt64(random.below(random.chance(20) ? 3000 : 12))))
    case .translateByte: snippet.items.append(load(3, randomTarget()))
    case .maskedMove: snippet.items.append(load(7, randomTarget()))
    case .leave: snippet.items.append(load(5, randomTarget()))
    case .bitString:
      if let operand = registerOperand(instruction) {
        snippet.items.append(load(operand, bitOffset()))
      }
    case .plain where isDivision():
      snippet.items.append(load(2, UInt64(random.below(8))))
      if instruction.operandSize != 8 || random.chance(50) {
        snippet.items.append(load(0, UInt64(random.below(256))))
      }
    default: break
    }
  }

  private mutating func bitOffset() -> UInt64 {
    UInt64(bitPattern: Int64(random.below(0x4000)) - 0x2000)
  }

  private func registerOperand(_ instruction: Instruction) -> UInt8? {
    for index in 0..<Int(instruction.operandCount)
    where instruction.operands[index].place == .modRMRegister {
      return instruction.operands[index].number
    }
    return nil
  }

  private mutating func prepareMemory(
    _ item: inout SnippetItem, _ instruction: Instruction, _ snippet: inout Snippet,
    target: UInt64, always: Bool = false
  ) {
    guard instruction.hasMemory, instruction.hasModRM, instruction.addressSize >= 4 else { return }
    // Where a four-byte displacement is, if there is one.
    let at = Int(instruction.length) - Int(instruction.immediateSize) - 4
    let isAbsolute = instruction.base == Instruction.noRegister
    var offset = target
    if instruction.segment == 4 { offset = offset &- UInt64(NATIVE_FS_BASE) }
    if instruction.segment == 5 { offset = offset &- UInt64(NATIVE_GS_BASE) }
    let isRelative = instruction.base == Instruction.instructionPointer
    if isRelative {
      item.patch = .relative(at: at, target: offset)
      return
    }
    guard always || random.chance(85) else { return }
    var index: UInt64 = 0
    if instruction.index != Instruction.noRegister, instruction.operation != .gather {
      index = UInt64(bitPattern: Int64(random.below(128)) - 64)
      if isCompatibility { index &= 0x3f }
      snippet.items.append(load(instruction.index, index))
      index = index << UInt64(instruction.scaleShift)
    }
    if isAbsolute {
      item.bytes.replaceSubrange(at..<at + 4, with: Snippet.littleEndian(offset &- index, 4))
    } else if instruction.base < 16 {
      var value = offset &- UInt64(bitPattern: instruction.displacement)
      if instruction.base != instruction.index { value = value &- index }
      if isCompatibility || instruction.addressSize == 4 { value &= 0xffff_ffff }
      snippet.items.append(load(instruction.base, value))
    }
  }
}
