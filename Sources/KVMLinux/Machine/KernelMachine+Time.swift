internal import CLinux
public import KVM
import KVMABI

extension KernelMachine: TimedMachine {
  public func makeTimer(hasSpeaker: Bool) throws(KVMError) {
    var configuration = kvm_pit_config()
    configuration.flags = hasSpeaker ? UInt32(KVM_PIT_SPEAKER_DUMMY) : 0
    try file.set(.KVM_CREATE_PIT2, configuration)
  }

  public func intervalTimer() throws(KVMError) -> IntervalTimerState {
    IntervalTimerState(try file.get(.KVM_GET_PIT2, kvm_pit_state2()))
  }

  public func setIntervalTimer(_ state: IntervalTimerState) throws(KVMError) {
    try file.set(.KVM_SET_PIT2, kvm_pit_state2(state))
  }

  public func setTimerReinjection(_ wanted: Bool) throws(KVMError) {
    var values = kvm_reinject_control()
    values.pit_reinject = wanted ? 1 : 0
    try file.set(.KVM_REINJECT_CONTROL, values)
  }

  public func clock() throws(KVMError) -> MachineClock {
    MachineClock(try file.get(.KVM_GET_CLOCK, kvm_clock_data()))
  }

  public func setClock(_ clock: MachineClock) throws(KVMError) {
    var values = kvm_clock_data(clock)
    // The kernel takes the time of day, and refuses what only it can know.
    values.flags &= UInt32(KVM_CLOCK_REALTIME)
    try file.set(.KVM_SET_CLOCK, values)
  }
}
