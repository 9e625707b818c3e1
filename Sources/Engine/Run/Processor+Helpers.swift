internal import X86

extension Processor {
  /// Sets the instruction pointer from an offset in the running block's page.
  func setInstructionPointer(offset: UInt64) {
    setInstructionPointer(linear: cpu.codePage &+ (offset & 0xfff))
  }

  func setInstructionPointer(linear: UInt64) {
    let base = cpu.is64Bit ? 0 : cpu[.cs].base
    cpu.instructionPointer = (linear &- base) & linearMask
  }

  /// Advances past an instruction.
  func advance(by length: UInt8) {
    let next = cpu.instructionPointer &+ UInt64(length)
    cpu.instructionPointer = cpu.is64Bit ? next : next & 0xffff_ffff
  }

  func executeSite(_ index: Int, _ continuation: UInt64) -> UInt64 {
    let site = translation.sites[index]
    setInstructionPointer(offset: UInt64(site.offset))
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
      }
    } catch {
      return fault(error)
    }
  }

  /// Goes on in the block, unless it has been dropped by what the instruction wrote.
  private func resume(after length: UInt8, _ continuation: UInt64) -> UInt64 {
    guard run.codeWriteSeen != 0 || run.isStepping != 0 || cpu.interruptShadow != 0 else {
      return continuation
    }
    run.codeWriteSeen = 0
    advance(by: length)
    return dispatch()
  }

  /// Delivers an exception of the instruction at the instruction pointer.
  func fault(_ fault: GuestFault) -> UInt64 {
    run.isStepping = 0
    if case .stop(let reason) = deliver(fault: fault) { return leave(reason) }
    return dispatch()
  }

  func raise(vector: UInt8, offset: UInt64) -> UInt64 {
    setInstructionPointer(offset: offset)
    return fault(GuestFault(ExceptionVector(rawValue: vector) ?? .invalidOpcode))
  }

  func jump(to linear: UInt64) -> UInt64 {
    if cpu.is64Bit && !linear.isCanonical { return fault(.protection) }
    setInstructionPointer(linear: linear)
    return dispatch()
  }

  /// Follows a direct jump, and links it to its target for the next time.
  func follow(_ index: Int32) -> UInt64 {
    let store = translation.store
    let exit = store[exit: index]
    let linear = cpu.codePage &+ UInt64(bitPattern: Int64(exit.target))
    setInstructionPointer(linear: linear)
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
