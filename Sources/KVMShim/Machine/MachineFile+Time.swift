import CLinux
import KVM
import KVMABI
import KVMSoft

extension MachineFile {
  func makeTimer(hasSpeaker: Bool) throws(KVMError) -> Int {
    try withoutSignals { () throws(KVMError) in try machine.makeTimer(hasSpeaker: hasSpeaker) }
  }

  func makeTimer(_ argument: UserAddress) throws(KVMError) -> Int {
    let configuration = try argument.load(kvm_pit_config.self)
    let speaker = UInt32(KVM_PIT_SPEAKER_DUMMY)
    guard configuration.flags & ~speaker == 0 else { throw .invalid }
    return try makeTimer(hasSpeaker: configuration.flags & speaker != 0)
  }

  func setTimer(_ state: IntervalTimerState) throws(KVMError) -> Int {
    try done(machine.setIntervalTimer(state))
  }

  func setReinjection(_ argument: UserAddress) throws(KVMError) -> Int {
    let wanted = try argument.load(kvm_reinject_control.self).pit_reinject != 0
    return try done(machine.setTimerReinjection(wanted))
  }

  func setClock(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_clock_data.self)
    // What KVM_GET_CLOCK gave may be given back.
    let known = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC
    guard values.flags & ~UInt32(known) == 0 else { throw .invalid }
    return try done(machine.setClock(MachineClock(values)))
  }
}
