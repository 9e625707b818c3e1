import Engine
public import KVM
import X86

extension SoftCPU: ExitingCPU {
  public func run() throws(KVMError) -> Exit {
    let relay: ExitRelay
    if let existing = self.relay { relay = existing } else { relay = try makeRelay() }
    // Also where an instruction waits, and the run goes on in its middle.
    environment.refreshTime()
    return relay.run()
  }

  public func answer(_ value: UInt64) { relay?.answer(value) }

  public func refuse() { relay?.refuse() }

  public func withPortData<Result>(_ body: (inout MutableRawSpan) -> Result) -> Result {
    guard let relay else {
      var nothing = MutableRawSpan()
      return body(&nothing)
    }
    return relay.withPortData(body)
  }

  public var status: RunStatus {
    var status = RunStatus()
    status.interruptFlag = processor.enablesInterrupts
    status.isReadyForInterrupt =
      environment.hasOwn8259
      || processor.acceptsInterrupts && environment.takesOutsideInterrupt
    status.isInSystemManagement = processor.cpu.inManagement != 0
    status.taskPriority = UInt64(environment.taskPriority)
    status.apicBase = environment.apicBase
    return status
  }

  public func setTaskPriority(_ priority: UInt64) {
    guard environment.chips == nil, priority < 16 else { return }
    environment.setTaskPriorityQuietly(UInt8(priority))
  }

  public func requestInterruptWindow(_ wanted: Bool) { environment.wantsInterruptWindow = wanted }

  private func makeRelay() throws(KVMError) -> ExitRelay {
    // Nothing that waits on the relay's stack may keep this object, which ends the relay.
    let this = unsafe Unmanaged.passUnretained(self)
    let made = try ExitRelay(processor: processor) {
      unsafe this._withUnsafeGuaranteedRef { $0.runUntilStop() }
    }
    relay = made
    connectRelay()
    return made
  }

  /// Has accesses end runs. It stays so from one run to the next.
  func connectRelay() { (environment.handler, environment.relay) = (relay, relay) }

  /// Completes the instruction that waits for an access, if one does, with the answer that has been
  /// given; further accesses of it are not done. To be called before state is replaced.
  func finishInstruction() {
    guard let relay, relay.isInFlight else { return }
    environment.mustStop = true
    processor.doorbell.ring()
    relay.finish()
    environment.mustStop = false
  }

  func endRelay() {
    finishInstruction()
    relay?.end()
    // They keep each other alive.
    (environment.handler, environment.relay) = (nil, nil)
  }
}
