internal import CLinux
public import KVM
import KVMABI

extension KernelMachine: TimedMachine {
  public func makeTimer(hasSpeaker: Bool) throws(KVMError) {
    var configuration = kvm_pit_config()
    configuration.flags = hasSpeaker ? UInt32(KVM_PIT_SPEAKER_DUMMY) : 0
    try file.call(.KVM_CREATE_PIT2, with: &configuration)
  }

  public func intervalTimer() throws(KVMError) -> IntervalTimerState {
    var values = kvm_pit_state2()
    try file.call(.KVM_GET_PIT2, with: &values)
    return IntervalTimerState(values)
  }

  public func setIntervalTimer(_ state: IntervalTimerState) throws(KVMError) {
    var values = kvm_pit_state2(state)
    try file.call(.KVM_SET_PIT2, with: &values)
  }

  public func setTimerReinjection(_ wanted: Bool) throws(KVMError) {
    var values = kvm_reinject_control()
    values.pit_reinject = wanted ? 1 : 0
    try file.call(.KVM_REINJECT_CONTROL, with: &values)
  }

  public func clock() throws(KVMError) -> MachineClock {
    var values = kvm_clock_data()
    try file.call(.KVM_GET_CLOCK, with: &values)
    return MachineClock(values)
  }

  public func setClock(_ clock: MachineClock) throws(KVMError) {
    var values = kvm_clock_data(clock)
    // The kernel takes the time of day, and refuses what only it can know.
    values.flags &= UInt32(KVM_CLOCK_REALTIME)
    try file.call(.KVM_SET_CLOCK, with: &values)
  }
}
