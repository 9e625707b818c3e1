import Chipset
import Glibc
public import KVM

/// The 8254, and the machine's clock.
extension SoftMachine: TimedMachine {
  public func makeTimer() throws(KVMError) { try makeTimer(hasSpeaker: true) }

  public func makeTimer(hasSpeaker: Bool) throws(KVMError) {
    let call = "KVM_CREATE_PIT2"
    guard let chips = chips.withLock({ $0 }), !chips.controller.isSplit else {
      throw .refused(call: call, errno: ENOENT)
    }
    guard chips.makeTimer(hasSpeaker: hasSpeaker) else {
      throw .refused(call: call, errno: EEXIST)
    }
  }

  private func timer(call: String) throws(KVMError) -> InterruptController {
    let chips = try fullChips(call: call)
    guard chips.hasTimer.load(ordering: .relaxed) else {
      throw .refused(call: call, errno: ENXIO)
    }
    return chips.controller
  }

  public func intervalTimer() throws(KVMError) -> IntervalTimerState {
    try timer(call: "KVM_GET_PIT2").intervalTimer
  }

  public func setIntervalTimer(_ state: IntervalTimerState) throws(KVMError) {
    try timer(call: "KVM_SET_PIT2").restore(state)
  }

  public func clock() throws(KVMError) -> MachineClock { timeline.clock }

  public func setClock(_ clock: MachineClock) throws(KVMError) { timeline.set(clock) }

  public func setTimerReinjection(_ wanted: Bool) throws(KVMError) {
    try timer(call: "KVM_REINJECT_CONTROL").reinjectsTicks = wanted
  }
}
