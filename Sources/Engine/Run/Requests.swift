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
    if cpu.interruptShadow == 1 { cpu.interruptShadow = 2 }
    if cpu.systemFlags & RFLAGS.trap.rawValue != 0 || run.debugSteps != 0 { run.isStepping = 1 }
    return nil
  }

  /// What comes right behind an instruction that ran alone: the end of a shadow, traps.
  private func endInstruction() -> StopReason? {
    // A shadow covers one instruction: it is 1 before that has run, and 2 while it runs.
    if cpu.interruptShadow == 2 {
      cpu.interruptShadow = 0
      // Interrupts that came in the meantime are looked for at the next boundary.
      run.deferred = 1
    }
    guard run.isStepping | run.debugHits != 0 else { return nil }
    var causes = UInt64(run.debugHits)
    if run.isStepping != 0, run.debugSteps != 0 || cpu.hasFlag(.trap) {
      causes |= DebugBits.singleStep
    }
    (run.isStepping, run.debugHits) = (0, 0)
    guard causes != 0, case .stop(let reason) = raiseDebug(causes) else { return nil }
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
    takeManagement()
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

  /// Enters system-management mode if there is an interrupt of that kind. Its save area has no
  /// place for the shadow of STI, so that instruction completes first.
  private func takeManagement() {
    guard cpu.inManagement == 0 else { return }
    guard cpu.interruptShadow == 0 || cpu.halted != 0 else { return doorbell.ring() }
    if environment.takeSystemManagement() { enterManagement() }
  }
}
