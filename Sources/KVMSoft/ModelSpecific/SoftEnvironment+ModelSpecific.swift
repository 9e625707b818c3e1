import Engine
import KVM

/// Model-specific registers with a meaning of their own here.
private enum Register {
  static let timeStampAdjust: UInt32 = 0x3b
  static let managementCount: UInt32 = 0x34
  static let apicBase: UInt32 = 0x1b
  static let timeStampDeadline: UInt32 = 0x6e0
  static let x2APIC: ClosedRange<UInt32> = 0x800...0x8ff
  /// Both numbers of each of KVM's clocks.
  static let wallClock: Set<UInt32> = [0x11, 0x4b56_4d00]
  static let stealTime: UInt32 = 0x4b56_4d03
  static let systemTime: Set<UInt32> = [0x12, 0x4b56_4d01]
}

extension SoftEnvironment {
  func readModelSpecific(_ number: UInt32) -> UInt64? {
    switch number {
    case Register.apicBase: return apicBase
    case Register.timeStampDeadline where chips == nil: return 0
    case Register.timeStampDeadline, Register.x2APIC:
      return chips?.controller.readModelSpecific(number, processor: index)
    case Register.timeStampAdjust: return timeStampAdjust
    case Register.managementCount: return counts.managementInterrupts
    default: break
    }
    if HyperVRegister.all.contains(number) { return readHyperV(number) }
    if let value = machineCheck.read(number) { return value }
    if Register.wallClock.contains(number) { return clock.timeline.wallClockAddress }
    if Register.systemTime.contains(number) { return clock.systemTime }
    if number == Register.stealTime { return steal.register }
    return paravirtual.read(number) ?? models.read(number)
  }

  func writeModelSpecific(_ number: UInt32, value: UInt64) -> Bool {
    switch number {
    case Register.apicBase where chips == nil:
      apicBase = value
      return true
    case Register.timeStampDeadline where chips == nil: return true
    case Register.apicBase, Register.timeStampDeadline, Register.x2APIC:
      return writeLocalAPIC(number, value)
    case Register.timeStampAdjust:
      setTimeStampAdjust(value)
      return true
    case Register.managementCount:
      if isHostWriting { counts.managementInterrupts = value }
      return isHostWriting
    default: break
    }
    if HyperVRegister.all.contains(number) { return writeHyperV(number, value) }
    if let isTaken = machineCheck.write(number, value, byHost: isHostWriting) { return isTaken }
    if Register.wallClock.contains(number) {
      clock.setWallClock(value, in: memory)
      return true
    }
    if Register.systemTime.contains(number) {
      clock.setSystemTime(value, in: memory, of: processor)
      return true
    }
    if number == Register.stealTime { return steal.set(value) }
    return paravirtual.write(number, value)
      ?? models.write(number, value, byHost: isHostWriting)
  }

  /// IA32_TSC_ADJUST is what the guest has added to the counter, whichever of the two registers it
  /// wrote. From outside, each is set alone, as KVM has it.
  ///
  /// Reference: SDM vol. 3B, section 18.17.3.
  private func setTimeStampAdjust(_ value: UInt64) {
    if !isHostWriting {
      processor?.cpu.timeStampOffset &+= value &- timeStampAdjust
      timeStampChanged()
    }
    timeStampAdjust = value
  }

  /// Tells those who count in ticks of the guest's counter: its timer, and KVM's clock.
  func timeStampChanged() {
    guard let processor else { return }
    let offset = processor.cpu.timeStampOffset
    if !isHostWriting { timeStampAdjust &+= offset &- knownOffset }
    knownOffset = offset
    chips?.controller.timestampChanged(
      processor: index, to: (counter: processor.timeStamp, kilohertz: clock.kilohertz))
    clock.setSystemTime(clock.systemTime, in: memory, of: processor)
    partition.counterChanged()
    publishReferenceTime()
  }

  /// Shows the guest what has become of the time since it ran last.
  func refreshTime() {
    if clock.isStale { clock.publish(in: memory, of: processor) }
    if partition.isStale(clock.timeline.generation) { publishReferenceTime() }
    steal.update(in: memory)
  }
}
