extension BlockTranslator {
  /// Emits a poll of the attention word, where the instruction at ``offset`` has not begun.
  ///
  /// Every loop passes one: it stands before each jump that may go backwards.
  mutating func emitPoll() {
    groupInScratch = AccessGroups.none
    writer.load(.scratch, .state(StateLayout.field(\.attention)), wide: false)
    writer.bytes(0xe3, 0x0a)  // jrcxz over the call
    writer.byte(0xb9)  // mov ecx, offset: always five bytes
    writer.word(Int32(offset & 0xfff))
    emitCall(thunks.attention)
  }

  /// Whether a target, by its distance from the page's start, is in the block's own page: all of
  /// it, so that an instruction that might end in the next page is looked up each time.
  ///
  /// - Parameter isBranch: Whether the current instruction goes there, as opposed to going on.
  func isNear(_ target: Int64, isBranch: Bool = false) -> Bool {
    target >= mode.firstInPage && target <= min(4096 - 15, mode.lastInPage) && offset < 4096
      && !mode.contains(.single) && nextOffset <= 4096
      && !(isBranch && cutsTarget && mode.contains(.wideCode))
  }

  /// Whether branch targets are cut to 16 bits.
  private var cutsTarget: Bool { !isLong && instruction.operandSize == 2 }

  /// Goes to the instruction at `target` bytes from the page's start.
  mutating func emitJump(to target: Int64, isBranch: Bool = false) {
    if isNear(target, isBranch: isBranch) {
      writer.byte(0xe9)
      writer.word(0)
      noteExit(to: target)
    } else {
      emitFarJump(to: target, isBranch: isBranch)
    }
  }

  /// Goes to the next instruction in another mode, which the state block must already say.
  mutating func emitModeChange(to mode: BlockMode) {
    if isNear(Int64(nextOffset)) {
      writer.byte(0xe9)
      writer.word(0)
      noteExit(to: Int64(nextOffset), mode: mode.subtracting(.ungrouped))
    } else {
      emitConstantLinear(Int64(nextOffset))
      emitCall(thunks.find)
    }
    hasEnded = true
  }

  /// Goes to another page: the same code may be mapped at several addresses, so the target is
  /// looked up by its linear address.
  mutating func emitFarJump(to target: Int64, isBranch: Bool = false) {
    if isBranch { emitBranchTarget(to: target) } else { emitConstantLinear(target) }
    emitFind()
  }

  /// R11 becomes the linear address of a branch's target, after the check of the limit.
  mutating func emitBranchTarget(to target: Int64) {
    emitBranchOffset(to: target)
    emitCodeAddress()
  }

  /// R11 becomes a branch's target as an offset in the code segment, cut to the operand size.
  mutating func emitBranchOffset(to target: Int64) {
    emitConstantLinear(target)
    if isSegmented {
      writer.load(.scratch, .state(StateLayout.run(\.bounds.codeOrigin)))
      writer.add(.address, .address, .scratch, 0, wide: false)
    }
    if cutsTarget { writer.lowWord(.address, of: .address) }
  }

  /// R11, an offset in the code segment, becomes a linear address; #GP(0) beyond the limit.
  mutating func emitCodeAddress() {
    guard isSegmented else { return }
    var stub = ColdStub(kind: .codeLimit, site: 0)
    stub.site = emitBound(.state(StateLayout.run(\.bounds.code)), size: 1)
    _ = addCold(stub)
    writer.load(.scratch, Self.segmentBase(1))
    writer.add(.address, .address, .scratch, 0, wide: false)
  }

  /// A link to be made at the 32-bit displacement just written.
  mutating func noteExit(to target: Int64, mode: BlockMode? = nil) {
    let exit = Int32(store.count.exits)
    store.count.exits += 1
    store[exit: exit] = BlockExit(
      patch: here - 4, stub: 0, target: Int32(target), linked: 0, nextIncoming: 0,
      page: source.physical >> 12, mode: mode ?? self.mode.subtracting(.ungrouped))
    var stub = ColdStub(kind: .exit, site: here - 4)
    stub.exit = exit
    _ = addCold(stub)
  }

  /// As ``emitFind()``, but by way of the dispatcher when attention is wanted: returns need not go
  /// back to where a call, which polls, came from.
  mutating func emitPolledFind() {
    writer.load(.scratch, .state(StateLayout.field(\.attention)), wide: false)
    writer.bytes(0xe3, 0x05)  // jrcxz over the call
    emitCall(thunks.find)
    emitFind()
  }

  /// RCX becomes the index in the jump cache of the address in R11.
  private mutating func emitJumpIndex() {
    writer.rotateRight(.scratch, .address, by: JumpCache.shift)
    writer.add(.scratch, .scratch, .address, 0)
    writer.lowWord(.scratch, of: .scratch)
  }

  /// Goes to the linear address in R11 through the jump cache; the flags stay.
  mutating func emitFind() {
    guard !mode.contains(.single) else {
      emitCall(thunks.find)
      return
    }
    let scratch = HostRegister.scratch.rawValue
    emitJumpIndex()
    writer.tableOperation(
      0x8b, scratch, index: .scratch, offset: Int32(StateLayout.jumpTags(view)))
    writer.bytes(0x48, 0xf7, 0xd1)  // not rcx
    writer.add(.scratch, .scratch, .address, 1)
    writer.bytes(0xe3, 0x05)  // jrcxz over the call: R11 is the tag
    emitCall(thunks.find)
    emitJumpIndex()
    writer.tableOperation(
      0xff, 4, index: .scratch, offset: Int32(StateLayout.jumpTargets(view)), wide: false)
  }
}

extension BlockTranslator {
  /// Where a relative branch goes, as distance from the page's start.
  var relativeTarget: Int64 { Int64(nextOffset) + instruction.immediate }

  mutating func emitJumpDirect() {
    if relativeTarget <= Int64(offset) { emitPoll() }
    emitJump(to: relativeTarget, isBranch: true)
    hasEnded = true
  }

  mutating func emitJumpConditional() {
    if beginsTurn(position + 1) && position + 1 < count {
      emitLoopExit()
      return
    }
    if relativeTarget <= Int64(offset) { emitPoll() }
    writer.bytes(0x0f, 0x80 | instruction.opcode & 15)
    writer.word(0)
    noteBranch(to: relativeTarget, isBranch: true)
  }

  mutating func noteBranch(to target: Int64, isBranch: Bool = false) {
    if isNear(target, isBranch: isBranch) {
      noteExit(to: target)
    } else {
      var stub = ColdStub(kind: .farExit, site: here - 4)
      stub.target = Int32(clamping: target)
      stub.isBranch = isBranch
      _ = addCold(stub)
    }
  }

  /// LOOPcc and JrCXZ: guest RCX is in R10, so the host's forms work on a copy in RCX.
  mutating func emitJumpCounter() {
    if relativeTarget <= Int64(offset) { emitPoll() }
    writer.load(
      .scratch, .register(HostRegister.r10.rawValue), wide: instruction.addressSize == 8)
    if instruction.addressSize == 2 { writer.lowWord(.scratch, of: .scratch) }
    if instruction.addressSize != 8 { writer.byte(0x67) }
    writer.bytes(instruction.opcode, 0)  // taken: over the way to the next instruction
    let start = here
    emitCountDown()
    writer.byte(0xe9)
    writer.word(0)
    noteBranch(to: Int64(nextOffset))
    unsafe store.cache.write(at: start - 1).pointee = UInt8(here - start)
    if isNear(relativeTarget, isBranch: true) {
      emitCountDown()
      emitJump(to: relativeTarget, isBranch: true)
    } else {
      emitBranchTarget(to: relativeTarget)
      emitCountDown()
      emitFind()
    }
    hasEnded = true
  }

  /// What LOOP does to the counter, once nothing can fault any more.
  private mutating func emitCountDown() {
    guard instruction.opcode != 0xe3 else { return }
    if instruction.addressSize == 2 {
      writer.addWord(.r10, .r10, -1)
    } else {
      writer.add(.r10, .r10, nil, -1, wide: instruction.addressSize == 8)
    }
  }

  mutating func emitJumpIndirect() {
    emitPoll()
    emitIndirectOffset()
    emitCodeAddress()
    emitFind()
    hasEnded = true
  }

  /// R11 becomes the branch target that a register or memory operand holds: an offset in the code
  /// segment.
  mutating func emitIndirectOffset() {
    if instruction.hasMemory {
      let size = Int(instruction.operandSize)
      emitLoad(.address, emitRead(size: size), size: size)
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
