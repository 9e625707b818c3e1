extension BlockTranslator {
  /// Emits a poll of the attention word, where the instruction at ``offset`` has not begun.
  ///
  /// Every loop passes one: it stands before each jump that may go backwards.
  mutating func emitPoll() {
    writer.load(.scratch, .state(StateLayout.field(\.attention)), wide: false)
    writer.bytes(0xe3, 0x0a)  // jrcxz over the call
    writer.byte(0xb9)  // mov ecx, offset: always five bytes
    writer.word(Int32(offset & 0xfff))
    emitCall(thunks.attention)
  }

  /// Whether a target, by its distance from the page's start, is in the block's own page: all of
  /// it, so that an instruction that might end in the next page is looked up each time.
  func isNear(_ target: Int64) -> Bool {
    target >= 0 && target <= 4096 - 15 && offset < 4096 && !mode.contains(.single)
      && nextOffset <= 4096
  }

  /// Goes to the instruction at `target` bytes from the page's start.
  mutating func emitJump(to target: Int64) {
    if isNear(target) {
      writer.byte(0xe9)
      writer.word(0)
      noteExit(to: target)
    } else {
      emitFarJump(to: target)
    }
  }

  /// Goes to the next instruction in another mode, which the state block must already say.
  mutating func emitModeChange(to mode: BlockMode) {
    if isNear(Int64(nextOffset)) {
      writer.byte(0xe9)
      writer.word(0)
      noteExit(to: Int64(nextOffset), mode: mode)
    } else {
      emitConstantLinear(Int64(nextOffset))
      emitCall(thunks.find)
    }
    hasEnded = true
  }

  /// Goes to another page: the same code may be mapped at several addresses, so the target is
  /// looked up by its linear address.
  mutating func emitFarJump(to target: Int64) {
    emitConstantLinear(target)
    emitFind()
  }

  /// A link to be made at the 32-bit displacement just written.
  mutating func noteExit(to target: Int64, mode: BlockMode? = nil) {
    let exit = Int32(store.count.exits)
    store.count.exits += 1
    store[exit: exit] = BlockExit(
      patch: here - 4, stub: 0, target: Int32(target), linked: 0, nextIncoming: 0,
      page: source.physical >> 12, mode: mode ?? self.mode)
    var stub = ColdStub(kind: .exit, site: here - 4)
    stub.exit = exit
    _ = addCold(stub)
  }

  /// Goes to the linear address in R11 through the jump cache; the flags stay.
  mutating func emitFind() {
    guard !mode.contains(.single) else {
      emitCall(thunks.find)
      return
    }
    let scratch = HostRegister.scratch.rawValue
    writer.lowWord(.scratch, of: .address)
    writer.tableOperation(
      0x8b, scratch, index: .scratch, offset: Int32(StateLayout.jumpTags(view)))
    writer.bytes(0x48, 0xf7, 0xd1)  // not rcx
    writer.add(.scratch, .scratch, .address, 1)
    writer.bytes(0xe3, 0x05)  // jrcxz over the call: R11 is the tag
    emitCall(thunks.find)
    writer.lowWord(.scratch, of: .address)
    writer.tableOperation(
      0xff, 4, index: .scratch, offset: Int32(StateLayout.jumpTargets(view)), wide: false)
  }
}

extension BlockTranslator {
  /// Where a relative branch goes, as distance from the page's start.
  var relativeTarget: Int64 { Int64(nextOffset) + instruction.immediate }

  mutating func emitJumpDirect() {
    if relativeTarget <= Int64(offset) { emitPoll() }
    emitJump(to: relativeTarget)
    hasEnded = true
  }

  mutating func emitJumpConditional() {
    if relativeTarget <= Int64(offset) { emitPoll() }
    writer.bytes(0x0f, 0x80 | instruction.opcode & 15)
    writer.word(0)
    noteBranch(to: relativeTarget)
  }

  private mutating func noteBranch(to target: Int64) {
    if isNear(target) {
      noteExit(to: target)
    } else {
      var stub = ColdStub(kind: .farExit, site: here - 4)
      stub.offset = Int32(clamping: target)
      _ = addCold(stub)
    }
  }

  /// LOOPcc and JrCXZ: guest RCX is in R10, so the host's forms work on a copy in RCX.
  mutating func emitJumpCounter() {
    if relativeTarget <= Int64(offset) { emitPoll() }
    let wide = instruction.addressSize == 8
    let isLoop = instruction.opcode != 0xe3
    if isLoop {
      writer.add(.scratch, .r10, nil, -1, wide: wide)
      if instruction.addressSize == 2 {
        writer.bytes(0x66, 0x44)  // mov r10w, cx keeps the upper part
        writer.bytes(0x41, 0x89, 0xca)
      } else {
        writer.move(.r10, .scratch)
      }
      // The host's LOOP decrements too: it must find the value before.
      writer.add(.scratch, .scratch, nil, 1, wide: wide)
    } else {
      writer.load(.scratch, .register(HostRegister.r10.rawValue), wide: wide)
    }
    if instruction.addressSize == 2 { writer.lowWord(.scratch, of: .scratch) }
    if instruction.addressSize != 8 { writer.byte(0x67) }
    writer.bytes(instruction.opcode, 5)  // taken: over the jump to the next instruction
    writer.byte(0xe9)
    writer.word(0)
    noteBranch(to: Int64(nextOffset))
    emitJump(to: relativeTarget)
    hasEnded = true
  }

  mutating func emitJumpIndirect() {
    emitPoll()
    emitIndirectTarget()
    emitFind()
    hasEnded = true
  }

  /// R11 becomes the branch target that a register or memory operand holds.
  mutating func emitIndirectTarget() {
    if instruction.hasMemory {
      emitAddress()
      let size = Int(instruction.operandSize)
      let check = emitCheck(size: size, .read, plain: false)
      emitLoad(.address, check.pointer, size: size)
    } else {
      let number = instruction.operands[0].number
      let operand =
        RegisterMap.operand(number)
      emitLoad(.address, operand, size: Int(instruction.operandSize))
    }
  }

  /// Loads 2, 4 or 8 bytes, zero-extended.
  mutating func emitLoad(_ destination: HostRegister, _ operand: HostOperand, size: Int) {
    if size >= 4 {
      writer.load(destination, operand, wide: size == 8)
      return
    }
    writer.segment(for: operand)
    let rex = CodeWriter.extensionBits(destination.rawValue, operand)
    if rex != 0 { writer.byte(0x40 | rex) }
    writer.bytes(0x0f, 0xb7)
    writer.modRM(destination.rawValue, operand)
  }
}
