internal import X86

extension BlockTranslator {
  /// Emits the current instruction.
  mutating func emitInstruction() {
    if mode.contains(.floatingTrap) || mode.contains(.noSSE) || mode.contains(.noAVX) {
      if emitFloatingGate() { return }
    }
    switch instruction.operation {
    case .plain, .shiftByCount, .compareExchangeWide, .compareStringsIndex: emitOrdinary()
    case .noOperation, .cacheLineFlush: break
    case .pause: writer.bytes(0xf3, 0x90)
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
    case .readTimeStamp: emitReadTimeStamp()
    case .clearInterrupt: emitClearInterrupt()
    case .setInterrupt: emitSetInterrupt()
    case .clearAlignment, .setAlignment: emitAlignmentFlag()
    case .swapSegmentBase: emitSwapSegmentBase()
    case .saveExtended, .restoreExtended, .saveFloating, .restoreFloating, .gather:
      emitSystem(thunks.systemExtended)
    default: emitSystem(thunks.system)
    }
  }

  /// Whether the instruction uses x87, MMX or vector registers.
  private var usesFloatingState: Bool {
    for index in 0..<Int(instruction.operandCount) {
      switch instruction.operands[index].kind {
      case .vector, .mmx, .x87: return true
      default: break
      }
    }
    if instruction.map == .oneByte { return instruction.opcode & 0xf8 == 0xd8 }
    return instruction.map == .twoByte && instruction.opcode == 0x77  // EMMS, VZEROUPPER
  }

  /// Replaces an instruction by its #NM or #UD where the mode forbids the registers it uses.
  ///
  /// - Returns: Whether it did.
  private mutating func emitFloatingGate() -> Bool {
    guard instruction.operation != .noOperation, usesFloatingState else { return false }
    let usesVector = (0..<Int(instruction.operandCount)).contains {
      instruction.operands[$0].kind == .vector
    }
    let undefined =
      instruction.isVEX ? mode.contains(.noAVX) : usesVector && mode.contains(.noSSE)
    guard undefined || mode.contains(.floatingTrap) else { return false }
    emitRaise(undefined ? .invalidOpcode : .deviceNotAvailable)
    return true
  }

  /// Raises an exception with the current instruction's address.
  mutating func emitRaise(_ vector: ExceptionVector) {
    writer.constant(.scratch, UInt64(offset & 0xfff) | UInt64(vector.rawValue) << 16)
    emitCall(thunks.raise)
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
      emitBody(pointer: nil)
      return
    }
    emitAddress()
    let write = instruction.memoryAccess.contains(.write)
    let plain = needsPlainPointer
    let check = emitCheck(
      size: Int(instruction.memorySize), instruction.memoryAccess, plain: plain)
    emitBody(pointer: check.pointer)
    if write { finishWrite(check.stub, body: .instruction) }
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
