internal import X86

// Instructions that only read what the state block has.
extension BlockTranslator {
  /// PUSHF in 64-bit code, where no privilege matters.
  mutating func emitPushFlags() {
    guard isLong, instruction.operandSize == 8 else {
      emitSystem(thunks.system)
      return
    }
    groupInScratch = AccessGroups.none
    let (image, saved) = (StateLayout.run(\.spill), StateLayout.run(\.spill) + 8)
    let flags = HostOperand.state(StateLayout.field(\.savedFlags))
    writer.store(.rax, .state(saved))
    writer.byte(0x9f)  // lahf
    writer.bytes(0x0f, 0x90, 0xc0)  // seto al
    writer.storeWord(.rax, flags)
    writer.bytes(0x0f, 0xb6, 0xcc)  // movzx ecx, ah
    writer.bytes(0x81, 0xe1)  // and ecx: what LAHF knows
    writer.word(0xd5)
    writer.bytes(0x0f, 0xb6, 0xc0)  // movzx eax, al
    writer.bytes(0xc1, 0xe0, 11)  // shl eax, 11
    writer.bytes(0x09, 0xc1)  // or ecx, eax
    writer.operation(
      0x0b, HostRegister.scratch.rawValue, .state(StateLayout.field(\.systemFlags)))
    writer.bytes(0x81, 0xe1)  // and ecx: PUSHF shows neither VM nor RF
    writer.word(~0x3_0000)
    writer.store(.scratch, .state(image))
    writer.restoreFlags()
    writer.load(.rax, .state(saved))
    emitStackPush(.spill, size: 8)
  }

  /// MOV from a segment register to a general one.
  mutating func emitMoveFromSegment() {
    let segment = Int(instruction.modRMRegister)
    guard !instruction.hasMemory, segment < SegmentName.localTable.rawValue else {
      emitSystem(thunks.system)
      return
    }
    let stride = MemoryLayout<SegmentRegister>.stride
    let field = MemoryLayout<SegmentRegister>.offset(of: \.selector) ?? 0
    let selector = HostOperand.state(
      StateLayout.field(\.segments) + Int32(segment * stride + field))
    emitLoad(.address, selector, size: 2)
    let target = RegisterMap.operand(instruction.operands[0].number)
    if instruction.operandSize == 2 {
      writer.storeWord(.address, target)
    } else {
      writer.store(.address, target)
    }
  }
}
