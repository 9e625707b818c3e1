import Glibc
import Host
public import KVM

/// The time-stamp counter, as the machine's owner sets it.
extension SoftCPU {
  /// Has the counter run at the machine's rate, together with the other processors'.
  func startCounter() throws(KVMError) {
    try setTimeStampKilohertz(machine.timeStampKilohertz)
    let start = machine.epoch.timeStamp.multipliedFullWidth(by: processor.timeStampScale)
    let offset = machine.counters.offset(orElse: 0 &- (start.high << 16 | start.low >> 48))
    processor.cpu.timeStampOffset = offset
    environment.knownOffset = offset
  }

  /// Has the counter show a value now: the same as the other processors', if it is meant to be.
  func setCounter(_ value: UInt64) {
    let host = processor.timeStamp &- processor.cpu.timeStampOffset
    processor.cpu.timeStampOffset = machine.counters.offset(
      for: value, host: host, kilohertz: environment.clock.kilohertz)
    environment.timeStampChanged()
  }
}

extension SoftMachine {
  /// The rate of processors' time-stamp counters in kHz, for those that are made from now on
  /// (KVM_SET_TSC_KHZ); 0 is the host's own.
  public func setTimeStampKilohertz(_ kilohertz: UInt32) throws(KVMError) {
    guard kilohertz < SoftCPU.fastestCounter else {
      throw .refused(call: "KVM_SET_TSC_KHZ", errno: EINVAL)
    }
    settings.enable(.vmTSCControl, UInt64(kilohertz))
  }

  /// KVM_GET_TSC_KHZ
  public var timeStampKilohertz: UInt32 {
    let chosen = settings.argument(of: .vmTSCControl) ?? 0
    return UInt32(truncatingIfNeeded: chosen == 0 ? HostProcessor.timeStampKilohertz : chosen)
  }
}
