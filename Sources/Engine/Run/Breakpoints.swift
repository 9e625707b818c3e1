internal import X86

/// Breakpoints and single steps: the guest's own and those of a ``DebugPlan``.
///
/// Instructions of a page with an execution breakpoint run alone, each from the dispatcher, which
/// looks for the breakpoint first. Pages with a watched address are kept out of the soft TLB, so
/// that each access comes to a helper.
extension Processor {
  /// The debug registers that count.
  private var effectiveDebug: InlineArray<8, UInt64> {
    debugPlan.usesHardware ? debugPlan.registers : cpu.debugRegisters
  }

  /// Whether #DB is for whoever debugs the guest.
  private var isDebugged: Bool { debugPlan.usesHardware || debugPlan.isStepping }

  /// To be called when debug registers, or the plan, changed.
  package func debugChanged() {
    let registers = effectiveDebug
    let had = run.executionBreakpoints | run.dataBreakpoints
    (run.executionBreakpoints, run.dataBreakpoints, run.portBreakpoints) = (0, 0, 0)
    for index in 0..<4 {
      guard let breakpoint = Breakpoint(index, registers) else { continue }
      switch breakpoint.kind {
      case .execution: run.executionBreakpoints |= 1 << UInt32(index)
      case .write, .access: run.dataBreakpoints |= 1 << UInt32(index)
      case .port: run.portBreakpoints |= 1 << UInt32(index)
      }
    }
    run.debugSteps = debugPlan.isStepping ? 1 : 0
    if had | run.executionBreakpoints | run.dataBreakpoints != 0 { flushAllTranslations() }
  }

  // MARK: Execution

  /// Meets the execution breakpoints at the next instruction.
  ///
  /// - Returns: What became of them: `nil` to run the instruction.
  func meetBreakpoint(_ linear: UInt64) -> Outcome? {
    let registers = effectiveDebug
    var hits: UInt64 = 0
    for index in 0..<4 where run.executionBreakpoints >> UInt32(index) & 1 != 0 {
      if (registers[index] ^ linear) >> 12 == 0 { run.wantsAlone = 1 }
      if registers[index] == linear { hits |= 1 << UInt64(index) }
    }
    let isResumed = cpu.hasFlag(.resume)
    cpu.systemFlags &= ~RFLAGS.resume.rawValue
    guard hits != 0 && !isResumed else { return nil }
    // Intel's processors meet none behind MOV SS.
    if InterruptShadow.isOfStack(cpu.interruptShadow) && !isAMD { return nil }
    return raiseDebug(hits, isFault: true)
  }

  // MARK: Data and ports

  func isWatched(pageOf linear: UInt64) -> Bool {
    guard run.dataBreakpoints != 0 else { return false }
    let registers = effectiveDebug
    for index in 0..<4 where run.dataBreakpoints >> UInt32(index) & 1 != 0 {
      if (registers[index] ^ linear) >> 12 == 0 { return true }
    }
    return false
  }

  /// Notes the data breakpoints that an access meets.
  func noteWatched(_ linear: UInt64, _ count: Int, isWrite: Bool) {
    guard run.dataBreakpoints != 0 else { return }
    let registers = effectiveDebug
    for index in 0..<4 {
      guard let breakpoint = Breakpoint(index, registers),
        breakpoint.kind == .access || breakpoint.kind == .write && isWrite,
        breakpoint.overlaps(linear, UInt64(count))
      else { continue }
      run.debugHits |= 1 << UInt32(index)
    }
  }

  /// Notes the port breakpoints that an access meets.
  func noteWatchedPort(_ port: UInt16, _ size: Int) {
    guard run.portBreakpoints != 0, cpu.cr4.contains(.debuggingExtensions) else { return }
    let registers = effectiveDebug
    for index in 0..<4 where run.portBreakpoints >> UInt32(index) & 1 != 0 {
      guard let breakpoint = Breakpoint(index, registers) else { continue }
      if breakpoint.overlaps(UInt64(port), UInt64(size)) { run.debugHits |= 1 << UInt32(index) }
    }
  }

  // MARK: Events

  /// #DB: for the debugger outside, or else the guest's.
  func raiseDebug(_ causes: UInt64, isFault: Bool = false) -> Outcome {
    if isDebugged {
      debugReport = DebugReport(vector: 1, dr6: DebugBits.alwaysSet | causes)
      return .stop(.debug)
    }
    cpu.debugRegisters[6] = (cpu.debugRegisters[6] & ~0xf) | causes
    var fault = GuestFault(.debug)
    fault.setsResume = isFault
    return deliver(fault: fault)
  }

  /// Whether DR7 has accesses to debug registers detected.
  var detectsDebugAccess: Bool { effectiveDebug[7] & DebugBits.generalDetect != 0 }

  /// INT3, where a debugger outside waits for it.
  func catchBreakpoint() -> Outcome? {
    guard debugPlan.catchesBreakpoints else { return nil }
    debugReport = DebugReport(vector: 3, dr6: DebugBits.alwaysSet)
    return .stopHere(.debug)
  }

  /// What ended the last run; the address is that of the instruction.
  package func debugExit() -> (report: DebugReport, address: UInt64, dr7: UInt64) {
    (debugReport, linearInstructionPointer, effectiveDebug[7] | 0x400)
  }
}
