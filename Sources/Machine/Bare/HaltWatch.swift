import DeviceModel
import KVM
import X86

/// Notices that the only processor of a machine sleeps with interrupts off: its guest is done.
///
/// With interrupt controllers HLT waits inside the run, so somebody has to look now and then.
final class HaltWatch: Sendable {
  /// In nanoseconds.
  private static let period: UInt64 = 100_000_000

  private let alarm: Alarm

  /// Interrupts the processors of `control` now and then, so that they can be looked at.
  init(timers: TimerQueue, clock: any Clock, control: RunControl) {
    alarm = timers.makeAlarm()
    alarm.onFire { [weak alarm] now in
      control.interrupt()
      alarm?.schedule(at: now + Self.period)
    }
    alarm.schedule(at: clock.now + Self.period)
  }

  /// Whether nothing but a non-maskable interrupt, which nobody sends, could wake `cpu`.
  static func isAsleepForGood(_ cpu: some VirtualCPU) throws(KVMError) -> Bool {
    guard try (cpu as? any EventfulCPU)?.activity() == .halted else { return false }
    return try !cpu.registers().rflags.contains(.interrupt)
  }
}
