internal import X86

extension Processor {
  /// Sets the instruction pointer from an offset in the running block's page.
  func setInstructionPointer(offset: UInt64) {
    setInstructionPointer(linear: cpu.codePage &+ (offset & 0xfff))
  }

  func setInstructionPointer(linear: UInt64) {
    cpu.instructionPointer =
      cpu.is64Bit ? linear : (linear &- cpu[.cs].base) & 0xffff_ffff
  }

  /// Advances past an instruction.
  func advance(by length: UInt8) {
    let next = cpu.instructionPointer &+ UInt64(length)
    cpu.instructionPointer = cpu.is64Bit ? next : next & 0xffff_ffff
  }

  func executeSite(_ index: Int, _ continuation: UInt64) -> UInt64 {
    let site = translation.sites[index]
    setInstructionPointer(offset: UInt64(site.offset))
    if let profile { profile.note(site.instruction.operation) }
    do throws(GuestFault) {
      switch try execute(site.instruction) {
      case .next: return resume(after: site.instruction.length, continuation)
      case .nextInNewMode:
        advance(by: site.instruction.length)
        return dispatch()
      case .jumped: return dispatch()
      case .stop(let reason):
        advance(by: site.instruction.length)
        return leave(reason)
      case .stopHere(let reason): return leave(reason)
      }
    } catch {
      return fault(error)
    }
  }

  /// Goes on in the block, unless it has been dropped by what the instruction wrote, or something
  /// has come: an interrupt that the instruction asked for is taken at once.
  private func resume(after length: UInt8, _ continuation: UInt64) -> UInt64 {
    let seen = run.codeWriteSeen | run.isStepping | run.debugHits | cpu.attention
    guard seen != 0 || cpu.interruptShadow != 0 else {
      return continuation
    }
    settleWithOthers()
    run.codeWriteSeen = 0
    advance(by: length)
    return dispatch()
  }

  /// Delivers an exception of the instruction at the instruction pointer.
  func fault(_ fault: GuestFault) -> UInt64 {
    (run.isStepping, run.debugHits) = (0, 0)
    let outcome =
      fault.vector == .debug
      ? raiseDebug(DebugBits.generalDetect) : deliver(fault: fault)
    if case .stop(let reason) = outcome { return leave(reason) }
    return dispatch()
  }

  func raise(vector: UInt8, offset: UInt64) -> UInt64 {
    setInstructionPointer(offset: offset)
    return fault(GuestFault(ExceptionVector(rawValue: vector) ?? .invalidOpcode))
  }

  /// - Parameter continuation: The host address behind the jump, which tells whose it is.
  func jump(to linear: UInt64, from continuation: UInt64) -> UInt64 {
    if cpu.is64Bit && !linear.isCanonical { return misdirectedJump(continuation) }
    setInstructionPointer(linear: linear)
    return dispatch()
  }

  /// #GP(0) of a branch to an address that is not canonical, with the state before the branch.
  private func misdirectedJump(_ continuation: UInt64) -> UInt64 {
    if let offset = translation.store.guestPlace(of: continuation &- 1)?.offset {
      setInstructionPointer(offset: offset)
      undoStackMove()
    }
    return fault(.protection)
  }

  /// Bytes of the instruction at the instruction pointer, between runs or while it waits.
  package var currentInstructionLength: UInt64 {
    inside { UInt64(instructionAtPointer().length) }
  }

  /// The instruction at the instruction pointer, decoded again; undefined where it cannot be read.
  func instructionAtPointer() -> Instruction {
    let linear = linearInstructionPointer
    let size: CodeSize =
      cpu.is64Bit ? .bits64 : cpu[.cs].attributes[.defaultBig] ? .bits32 : .bits16
    let access: MemoryAccess = cpu.privilege == 3 ? [.execute, .user] : .execute
    var bytes: InlineArray<16, UInt8> = .init(repeating: 0)
    var instruction = Instruction()
    // The instruction ran, so all of it can be read; what follows may be in a page that is not.
    for count in 1...15 {
      guard
        let byte = try? readLinear(
          (linear &+ UInt64(count - 1)) & linearMask, size: 1, as: access)
      else { break }
      bytes[count - 1] = UInt8(truncatingIfNeeded: byte)
      let result = unsafe withUnsafeBytes(of: bytes) { all in
        let code = unsafe UnsafeRawBufferPointer(rebasing: all[..<count])
        return unsafe decode(
          RawSpan(_unsafeBytes: code), codeSize: size, features: features, into: &instruction)
      }
      if result == .decoded { return instruction }
    }
    return Instruction()
  }

  /// Takes back what the return or call at the instruction pointer did to the stack pointer.
  private func undoStackMove() {
    let instruction = instructionAtPointer()
    let size = UInt64(instruction.operandSize)
    switch instruction.operation {
    case .returnNear:
      let released = instruction.immediateSize == 0 ? 0 : instruction.immediate & 0xffff
      cpu.registers[4] &-= size &+ UInt64(released)
    case .callIndirect: cpu.registers[4] &+= size
    default: break
    }
  }

  /// Follows a direct jump, and links it to its target for the next time.
  func follow(_ index: Int32) -> UInt64 {
    let store = translation.store
    let exit = store[exit: index]
    let linear = cpu.codePage &+ UInt64(bitPattern: Int64(exit.target))
    setInstructionPointer(linear: linear)
    run.wantsUngrouped = exit.mode.contains(.ungrouped) ? 1 : 0
    let flushes = store.count.flushes
    let entry = dispatch()
    guard flushes == store.count.flushes, exit.linked == 0 else { return entry }
    // An interrupt may have led elsewhere: link only what the jump itself names.
    let target = store.find(exit.page << 12 | UInt64(exit.target) & 0xfff, exit.mode)
    guard target != 0, store[block: target].secondPage == 0 else { return entry }
    let block = store[block: target]
    if entry == store.cache.run(at: block.entry)
      || entry == store.cache.run(at: block.crossPageEntry)
    {
      store.link(index, to: target)
    }
    return entry
  }
}
