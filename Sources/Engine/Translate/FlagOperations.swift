internal import X86

// Short paths of instructions that kernels run all the time. None touches the arithmetic flags;
// whatever is out of the ordinary goes to `Processor.execute`.
extension BlockTranslator {
  private var isKernel: Bool { !mode.contains(.userPrivilege) }

  /// RDTSC: the host's counter and the guest's offset.
  mutating func emitReadTimeStamp() {
    if mode.contains(.timeStampTrap) {
      emitSystem(thunks.system)
      return
    }
    let withProcessor = instruction.operation == .readTimeStampAndProcessor
    if withProcessor {
      writer.bytes(0x0f, 0x01, 0xf9)  // rdtscp: waits for what comes before
    } else {
      writer.bytes(0x0f, 0x31)  // rdtsc
    }
    writer.rotateRight(.rdx, .rdx, by: 32)
    writer.add(.rax, .rax, .rdx, 0)
    writer.load(.scratch, .state(StateLayout.field(\.timeStampOffset)))
    writer.add(.rax, .rax, .scratch, 0)
    writer.rotateRight(.rdx, .rax, by: 32)
    writer.load(.rdx, .register(HostRegister.rdx.rawValue), wide: false)
    writer.load(.rax, .register(HostRegister.rax.rawValue), wide: false)
    if withProcessor {
      writer.load(.r10, .state(StateLayout.field(\.timeStampAux)), wide: false)
    }
  }

  /// Clears a bit of ``CPUState/systemFlags``, and sets it again where asked to.
  private mutating func emitSystemFlag(_ bit: Int32, mask: Int32, set: Bool) {
    let flags = HostOperand.state(StateLayout.field(\.systemFlags))
    writer.load(.scratch, flags)
    writer.extractBits(.scratch, .scratch, mask: .state(mask))
    writer.depositBits(.scratch, .scratch, mask: .state(mask))
    if set { writer.add(.scratch, .scratch, nil, bit) }
    writer.store(.scratch, flags)
  }

  mutating func emitClearInterrupt() {
    guard isKernel else {
      emitSystem(thunks.system)
      return
    }
    emitSystemFlag(0x200, mask: StateLayout.run(\.interruptMask), set: false)
  }

  /// STI: when nothing waits for it there is no need to look at the next instruction boundary.
  mutating func emitSetInterrupt() {
    guard isKernel else {
      emitSystem(thunks.system)
      return
    }
    writer.load(.scratch, .state(StateLayout.run(\.deferred)), wide: false)
    writer.bytes(0xe3, 0x02)  // jrcxz: nothing was put off
    writer.bytes(0xeb, 0x0a)  // jmp to the slow path
    writer.load(.scratch, .state(StateLayout.field(\.attention)), wide: false)
    writer.bytes(0xe3, 0x0a)  // jrcxz over the slow path
    emitSystem(thunks.system)
    emitSystemFlag(0x200, mask: StateLayout.run(\.interruptMask), set: true)
  }

  /// CLAC and STAC: with SMAP, the code that follows sees memory through another view.
  mutating func emitAlignmentFlag() {
    guard isKernel, !mode.contains(.single) else {
      emitSystem(thunks.system)
      return
    }
    let set = instruction.operation == .setAlignment
    emitSystemFlag(0x4_0000, mask: StateLayout.run(\.alignmentMask), set: set)
    guard mode.contains(.guardsUserPages) else { return }
    emitModeChange(to: mode.seeing(set ? .supervisorAllowingUser : .supervisor))
  }

  mutating func emitSwapSegmentBase() {
    guard isKernel, isLong else {
      emitSystem(thunks.system)
      return
    }
    let base = Self.segmentBase(SegmentName.gs.rawValue)
    let kernel = HostOperand.state(StateLayout.field(\.kernelGSBase))
    writer.load(.scratch, base)
    writer.load(.address, kernel)
    writer.store(.scratch, kernel)
    writer.store(.address, base)
  }
}
