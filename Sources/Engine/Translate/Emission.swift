internal import X86

extension BlockTranslator {
  /// Emits the current instruction.
  mutating func emitInstruction() {
    if mode.contains(.floatingTrap) || mode.contains(.noSSE) || mode.contains(.noAVX) {
      if emitFloatingGate() { return }
    }
    emitOperation()
    if !keepsScratch { groupInScratch = AccessGroups.none }
  }

  private mutating func emitOperation() {
    switch instruction.operation {
    case .plain, .shiftByCount, .compareExchangeWide, .compareStringsIndex: emitOrdinary()
    case .noOperation, .cacheLineFlush: break
    case .pause: emitPause()
    case .loadAddress: emitLoadAddress()
    case .moveOffset: emitMoveOffset()
    case .bitString: emitBitString()
    case .translateByte: emitTranslateByte()
    case .maskedMove: emitMaskedMove()
    case .push: emitPush()
    case .pop: emitPop()
    case .leave: emitLeave()
    case .jump: emitJumpDirect()
    case .jumpConditional: emitJumpConditional()
    case .jumpIndirect: emitJumpIndirect()
    case .jumpCounter: emitJumpCounter()
    case .call: emitCallDirect()
    case .callIndirect: emitCallIndirect()
    case .returnNear: emitReturn()
    case .moveString, .storeString: emitString()
    case .readTimeStamp, .readTimeStampAndProcessor: emitReadTimeStamp()
    case .pushFlags: emitPushFlags()
    case .moveFromSegment: emitMoveFromSegment()
    // Blocks are of one direction.
    case .clearDirection where !mode.contains(.backward): break
    case .clearInterrupt: emitClearInterrupt()
    case .setInterrupt: emitSetInterrupt()
    case .clearAlignment, .setAlignment: emitAlignmentFlag()
    case .swapSegmentBase: emitSwapSegmentBase()
    case .saveExtended, .restoreExtended, .saveFloating, .restoreFloating, .gather:
      emitSystem(thunks.systemExtended)
    default: emitSystem(thunks.system)
    }
  }

  /// Replaces an instruction by its #NM or #UD where the mode forbids the registers it uses.
  ///
  /// - Returns: Whether it did.
  private mutating func emitFloatingGate() -> Bool {
    let isUndefined: Bool
    switch instruction.unit {
    case .integer: return false
    case .x87, .mmx: isUndefined = false
    case .sse: isUndefined = mode.contains(.noSSE)
    case .avx: isUndefined = mode.contains(.noAVX)
    }
    guard isUndefined || mode.contains(.floatingTrap) else { return false }
    emitRaise(isUndefined ? .invalidOpcode : .deviceNotAvailable)
    return true
  }

  /// Raises an exception with the current instruction's address.
  mutating func emitRaise(_ vector: ExceptionVector) {
    writer.constant(.scratch, UInt64(offset & 0xfff) | UInt64(vector.rawValue) << 16)
    emitCall(thunks.raise)
  }

  /// PAUSE: a guest that spins waits for another processor, which must get a chance to run.
  private mutating func emitPause() {
    let left = HostOperand.state(StateLayout.run(\.pausesLeft))
    writer.bytes(0xf3, 0x90)
    writer.load(.scratch, left, wide: false)
    writer.add(.scratch, .scratch, nil, -1, wide: false)
    writer.store(.scratch, left, wide: false)
    writer.bytes(0xe3, 0x02)  // jrcxz to the call
    writer.bytes(0xeb, 0x0a)  // jmp over it
    emitSystem(thunks.system)
  }

  /// REP MOVS and REP STOS go to a routine that works a page at a time; the rest, and whatever
  /// that routine cannot do, to `Processor.execute`.
  private mutating func emitString() {
    let isPlain =
      isLong && instruction.addressSize == 8 && instruction.segment < 4
      && instruction.prefixes.contains(.repeated) && !mode.contains(.backward)
      && !mode.contains(.single)
    let routine = thunks.strings.entry(
      view, isMove: instruction.operation == .moveString, size: Int(instruction.memorySize))
    emitSystem(isPlain ? routine : thunks.system)
  }

  /// Hands the instruction to `Processor.execute`.
  mutating func emitSystem(_ thunk: UInt32) {
    let site = sites.insert(instruction, offset: UInt16(offset & 0xfff))
    writer.constant(.scratch, UInt64(UInt32(site)))
    emitCall(thunk)
  }
}

extension BlockTranslator {
  /// An instruction that is emitted again, with its memory operand checked first.
  private mutating func emitOrdinary() {
    let accessed = instruction.hasMemory && !instruction.memoryAccess.isEmpty
    guard accessed else {
      if isVectorClear && !isLong { emitVectorClear() } else { emitBody(pointer: nil) }
      return
    }
    if let group = groups.group(of: position, isStack: false) {
      emitBody(pointer: emitGrouped(group, plain: needsPlainPointer))
      return
    }
    let write = instruction.memoryAccess.contains(.write)
    emitAddress(instruction.memoryAccess, size: Int(instruction.memorySize))
    let plain = needsPlainPointer
    let check = emitCheck(
      size: Int(instruction.memorySize), write ? accessOfWrite : .read, plain: plain)
    emitBody(pointer: check.pointer)
    if write { finishWrite(check.stub, body: .instruction) }
  }

  /// Masked stores leave bytes as they are: on the bounce buffer these must be there first.
  private var accessOfWrite: Access {
    guard instruction.isVEX && instruction.map == .threeByte38 else {
      return instruction.memoryAccess
    }
    switch instruction.opcode {
    case 0x2e, 0x2f, 0x8e: return .readWrite
    default: return instruction.memoryAccess
    }
  }

  /// Whether the body of the current instruction takes RCX.
  private var needsPlainPointer: Bool {
    switch instruction.operation {
    case .shiftByCount, .compareExchangeWide, .bitString, .moveOffset: true
    default: InstructionEncoder.needsScratch(instruction)
    }
  }

  /// Emits the current instruction's effect, with its memory operand at `pointer`.
  mutating func emitBody(pointer: HostOperand?) {
    switch instruction.operation {
    case .shiftByCount: emitEncoded(pointer: pointer, countsInScratch: true)
    case .compareExchangeWide:
      writer.move(.scratch, .r10)
      emitEncoded(pointer: pointer)
    case .compareStringsIndex:
      emitEncoded(pointer: pointer)
      writer.load(.r10, .register(HostRegister.scratch.rawValue), wide: false)
    case .bitString: emitBitStringBody()
    case .moveOffset: emitMoveOffsetBody()
    case .maskedMove: emitMaskedMoveBody()
    default: emitEncoded(pointer: pointer)
    }
  }

  mutating func emitEncoded(pointer: HostOperand?, countsInScratch: Bool = false) {
    var encoder = InstructionEncoder(
      instruction, pointer: pointer, countsInScratch: countsInScratch)
    encoder.emit(into: &writer)
  }
}
