import Engine
import Host
import KVM

/// KVM's clock: pages in which the hypervisor tells the guest how its time-stamp counter maps to
/// nanoseconds.
///
/// Reference: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_WALL_CLOCK_NEW and
/// MSR_KVM_SYSTEM_TIME_NEW.
final class ParavirtualClock {
  let timeline: MachineTimeline
  /// Ticks of the guest's counter per millisecond.
  var kilohertz = HostProcessor.timeStampKilohertz
  /// What the guest last wrote, to be read back: the page's address, and bit 0 to enable it.
  private(set) var systemTime: UInt64 = 0
  /// The change of the machine's time that the page shows.
  private var shown: UInt64 = 0
  /// The guest is to be told that the host had stopped it.
  private var tellsPause = false

  init(timeline: MachineTimeline) { self.timeline = timeline }

  var isEnabled: Bool { systemTime & 1 != 0 }

  /// Nanoseconds of the machine's life in terms of its counter: (ticks << shift) * factor >> 32.
  static func scale(kilohertz: UInt64) -> (factor: UInt32, shift: Int8) {
    var (numerator, denominator): (UInt64, UInt64) = (1_000_000, max(kilohertz, 1))
    var shift: Int8 = 0
    while numerator >= denominator {
      denominator <<= 1
      shift += 1
    }
    while numerator << 1 < denominator {
      numerator <<= 1
      shift -= 1
    }
    return (UInt32(truncatingIfNeeded: (numerator << 32) / denominator), shift)
  }

  /// Takes the address of a `pvclock_vcpu_time_info`, with bit 0 to enable it, and fills it in.
  func setSystemTime(_ value: UInt64, in memory: ProcessorGroup, of processor: Processor?) {
    systemTime = value
    if isEnabled { publish(in: memory, of: processor) }
  }

  /// Has the page tell of a pause (KVM_KVMCLOCK_CTRL); returns `false` when there is no page.
  func notePause() -> Bool {
    if isEnabled { tellsPause = true }
    return isEnabled
  }

  /// Whether the page is out of date.
  var isStale: Bool { isEnabled && (tellsPause || shown != timeline.generation) }

  /// The flags of the page: all processors' counters agree; the host had stopped the guest.
  private static let stable: UInt8 = 1
  private static let paused: UInt8 = 2

  /// Fills the page in, with what the processor's counter was at the clock's base.
  func publish(in memory: ProcessorGroup, of processor: Processor?) {
    shown = timeline.generation
    let base = timeline.base
    let timeStamp = processor?.timeStamp(atHost: base.hostTimeStamp) ?? 0
    let address = systemTime & ~3
    let (factor, shift) = Self.scale(kilohertz: kilohertz)
    // The guest clears the pause itself.
    let before = (try? memory.load(UInt8.self, at: address &+ 29)) ?? 0
    let flags = Self.stable | (tellsPause ? Self.paused : before & Self.paused)
    tellsPause = false
    // An odd version tells readers that a change is in progress.
    let version = ((try? memory.load(UInt32.self, at: address)) ?? 0) | 1
    try? memory.store(version, at: address)
    try? memory.store(timeStamp, at: address &+ 8)
    try? memory.store(base.nanoseconds, at: address &+ 16)
    try? memory.store(factor, at: address &+ 24)
    try? memory.store(UInt8(bitPattern: shift), at: address &+ 28)
    try? memory.store(flags, at: address &+ 29)
    try? memory.store(version &+ 1, at: address)
  }

  /// Takes the address of a `pvclock_wall_clock`, and fills it in with the time of day at which the
  /// guest's clock began.
  func setWallClock(_ value: UInt64, in memory: ProcessorGroup) {
    timeline.wallClockAddress = value
    if value == 0 { return }
    let version = ((try? memory.load(UInt32.self, at: value)) ?? 0) | 1
    let (seconds, rest) = timeline.wallStart.quotientAndRemainder(dividingBy: 1_000_000_000)
    try? memory.store(version, at: value)
    try? memory.store(UInt32(truncatingIfNeeded: seconds), at: value &+ 4)
    try? memory.store(UInt32(rest), at: value &+ 8)
    try? memory.store(version &+ 1, at: value)
  }
}
