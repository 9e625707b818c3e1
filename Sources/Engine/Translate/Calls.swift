// Calls and returns: on the guest's stack as the architecture has it, and on the return stack.
extension BlockTranslator {
  /// Whether calls and returns of this block use the return stack. Code that may touch user pages
  /// under SMAP does not: its callers and callees need not be in the same mode.
  private var usesReturnStack: Bool {
    !mode.contains(.single) && (view != .supervisorAllowingUser || !mode.contains(.guardsUserPages))
  }

  /// Tells entries of supervisor code from those of user code.
  private var entryBias: Int32 { mode.contains(.userPrivilege) ? 0 : 1 }

  mutating func emitCallDirect() {
    let isBackward = relativeTarget <= Int64(offset)
    if isBackward { emitPoll() }
    let isNear = isNear(relativeTarget, isBranch: true)
    if isSegmented && !isNear {
      emitBranchOffset(to: relativeTarget)
      emitCallToTarget()
      return
    }
    emitReturnAddressPush()
    hasEnded = true
    guard usesReturnStack else {
      emitJump(to: relativeTarget, isBranch: true)
      return
    }
    pushReturn(mayNest: isBackward || !isNear)
    writer.byte(0xe8)
    writer.word(0)
    if isNear {
      noteExit(to: relativeTarget)
      emitReturnPoint()
    } else {
      let site = here - 4
      emitReturnPoint()
      store.cache.aim(site, at: here)
      emitFarJump(to: relativeTarget, isBranch: true)
    }
  }

  mutating func emitCallIndirect() {
    emitPoll()
    emitIndirectOffset()
    emitCallToTarget()
  }

  /// Pushes the return address of a call that stays in the page.
  private mutating func emitReturnAddressPush() {
    emitReturnAddressStore()
    emitStackMove(-Int32(instruction.operandSize))
  }

  /// Stores the return address, which is an offset in the code segment, where a push would.
  private mutating func emitReturnAddressStore() {
    let size = Int(instruction.operandSize)
    guard isSegmented else {
      emitStackStore(.returnAddress(Int32(nextOffset)), size: size)
      return
    }
    emitConstantLinear(Int64(nextOffset))
    writer.load(.scratch, .state(StateLayout.run(\.bounds.codeOrigin)))
    writer.add(.address, .address, .scratch, 0, wide: false)
    writer.store(.address, .state(StateLayout.run(\.spill)))
    emitStackStore(.spill, size: size)
  }

  /// Calls the offset in R11. As processors do, it stores the return address before it finds the
  /// target beyond the limit, but moves the stack pointer only then.
  private mutating func emitCallToTarget() {
    let target = HostOperand.state(StateLayout.run(\.spill) + 16)
    writer.store(.address, target)
    emitReturnAddressStore()
    if isSegmented {
      writer.load(.address, target)
      emitCodeAddress()
      writer.store(.address, target)
    }
    emitStackMove(-Int32(instruction.operandSize))
    hasEnded = true
    if usesReturnStack {
      pushReturn(mayNest: true)
      writer.byte(0xe8)
      writer.word(0)
      let site = here - 4
      emitReturnPoint()
      store.cache.aim(site, at: here)
    }
    writer.load(.address, target)
    emitFind()
  }

  /// Pushes the guest's return address on the return stack.
  ///
  /// - Parameter mayNest: Whether calls like this one can nest without end. Those that cannot, to
  ///   later places in the same page, fit into what is left when the others begin anew.
  private mutating func pushReturn(mayNest: Bool) {
    if mayNest {
      writer.extractBits(.scratch, .rsp, mask: .state(StateLayout.run(\.returnStackMask)))
      writer.bytes(0xe3, 0x09)  // jrcxz over the next instruction: there is room
      writer.load(.rsp, .state(StateLayout.run(\.returnStackTop)))
    }
    emitConstantLinear(Int64(nextOffset) + Int64(entryBias))
    writer.bytes(0x41, 0x53)  // push r11
  }

  /// Where the host's return from a call arrives, with the guest's return address in R11.
  private mutating func emitReturnPoint() {
    writer.bytes(0x48, 0x8d, 0x64)
    writer.bytes(0x24, 0x08)  // lea rsp, [rsp + 8]
    writer.add(.address, .address, nil, -Int32(nextOffset), wide: isLong)
    writer.store(.address, .state(StateLayout.field(\.codePage)))
    emitJump(to: Int64(nextOffset))
  }

  mutating func emitReturn() {
    let size = Int(instruction.operandSize)
    emitLoad(.address, emitStackRead(size: size), size: size)
    emitCodeAddress()
    let released = instruction.immediateSize == 0 ? 0 : Int32(instruction.immediate & 0xffff)
    emitStackMove(Int32(size) + released)
    hasEnded = true
    guard usesReturnStack else {
      emitPolledFind()
      return
    }
    writer.bytes(0x48, 0x8b, 0x4c)
    writer.bytes(0x24, 0x08)  // mov rcx, [rsp + 8]
    writer.bytes(0x48, 0xf7, 0xd1)  // not rcx
    writer.add(.scratch, .scratch, .address, 1 + entryBias)
    writer.bytes(0xe3, 0)  // jrcxz to the return below: the address is on top
    let start = here
    writer.load(.rsp, .state(StateLayout.run(\.returnStackTop)))
    emitPolledFind()
    unsafe store.cache.write(at: start - 1).pointee = UInt8(here - start)
    writer.byte(0xc3)  // ret
  }
}
