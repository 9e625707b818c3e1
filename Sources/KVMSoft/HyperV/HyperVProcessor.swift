import Chipset
import DeviceModel
import KVM

/// What a processor has of Hyper-V's interface. Used on the thread that runs the processor.
struct HyperVProcessor {
  private(set) var target = HyperVTarget(index: 0, local: 0)
  var features = HyperVFeatures()
  var assistPage: UInt64 = 0
  /// What the client has added to the time that the processor ran, in 100 ns.
  var runTimeOffset: UInt64 = 0

  // The synthetic interrupt controller, once it is switched on from outside.
  private(set) var isActive = false
  /// Whether the guest's pages are left as they are when it chooses them.
  private(set) var keepsPages = false
  var control: UInt64 = 0
  var version: UInt64 = 1
  var eventPage: UInt64 = 0
  var messagePage: UInt64 = 0

  var timers: [4 of SyntheticTimer] = .init(repeating: SyntheticTimer())
  /// Goes off when the first of the timers is due.
  private var alarm: Alarm?

  /// Gives the processor its number. `local` is that of its APIC.
  mutating func join(_ partition: HyperVPartition, local: Int) {
    target = partition.add { HyperVTarget(index: $0, local: local) }
  }

  mutating func activate(keepingPages: Bool, alarm: @autoclosure () -> Alarm) {
    if !isActive { self.alarm = alarm() }
    (isActive, keepsPages, control) = (true, keepingPages, 1)
    target.activate()
  }

  /// Sets the alarm to the first deadline.
  func scheduleAlarm() {
    var first = UInt64.max
    for index in timers.indices { first = min(first, timers[index].deadline ?? .max) }
    alarm?.schedule(at: first == .max ? nil : first)
  }

  func cancelAlarm() { alarm?.schedule(at: nil) }
}
