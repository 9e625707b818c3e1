internal import X86

extension Processor {
  /// RFLAGS.IF
  package var enablesInterrupts: Bool { cpu.systemFlags & RFLAGS.interrupt.rawValue != 0 }

  /// Whether a maskable interrupt may be taken before the next instruction.
  package var acceptsInterrupts: Bool {
    enablesInterrupts && cpu.interruptShadow == 0
  }

  /// Ends single steps and interrupt shadows, and serves the attention word.
  ///
  /// - Returns: Why to leave the run loop; `nil` to go on.
  func serveRequests() -> StopReason? {
    if let reason = endInstruction() { return reason }
    let isWanted = cpu.attention != 0 || (run.deferred != 0 && acceptsInterrupts)
    if isWanted, let reason = serveAttention() { return reason }
    if cpu.interruptShadow & 3 == 1 { cpu.interruptShadow += 1 }
    run.isStepping = run.debugSteps | (cpu.hasFlag(.trap) ? RunState.guestStep : 0)
    return nil
  }

  /// What comes right behind an instruction that ran alone: the end of a shadow, traps.
  private func endInstruction() -> StopReason? {
    if cpu.interruptShadow & InterruptShadow.isRunning != 0 {
      cpu.interruptShadow = 0
      // Interrupts that came in the meantime are looked for at the next boundary.
      run.deferred = 1
    }
    if cpu.interruptShadow == InterruptShadow.stackSegment {
      // No step is reported here, and breakpoints wait.
      run.isStepping &= ~RunState.guestStep
      if run.isStepping == 0 { return nil }
    }
    guard run.isStepping | run.debugHits != 0 else { return nil }
    let causes = UInt64(run.debugHits) | (run.isStepping != 0 ? DebugBits.singleStep : 0)
    (run.isStepping, run.debugHits) = (0, 0)
    guard case .stop(let reason) = raiseDebug(causes) else { return nil }
    return reason
  }

  private func serveAttention() -> StopReason? {
    _ = doorbell.answer()
    if environment.wantsToStop {
      // The request stays with the environment; interrupts are looked for on the way back in.
      run.deferred = 1
      return .interrupted
    }
    if let reason = deliverPending() { return reason }
    if run.debugSteps != 0 && debugPlan.blocksInterrupts {
      run.deferred = 1
      return nil
    }
    guard cpu.interruptShadow == 0 || cpu.halted != 0 else {
      // The shadow ends with the next instruction.
      doorbell.ring()
      return nil
    }
    if cpu.inManagement == 0 && environment.takeSystemManagement() { enterManagement() }
    if environment.takeNonMaskable(isBlocked: cpu.nmiBlocked != 0) {
      if case .stop(let reason) = deliverNMI() { return reason }
    }
    guard acceptsInterrupts else {
      run.deferred = 1
      return nil
    }
    guard let vector = environment.acknowledgeInterrupt() else {
      run.deferred = 0
      return nil
    }
    // There may be more: look again as soon as the guest enables interrupts.
    run.deferred = 1
    if case .stop(let reason) = deliverInterrupt(vector: vector) { return reason }
    return nil
  }
}
