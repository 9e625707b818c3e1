import GuestMemory
import Host

/// KVM's clock: pages in which the hypervisor tells the guest how its time-stamp counter maps to
/// nanoseconds.
///
/// Reference: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_WALL_CLOCK_NEW and
/// MSR_KVM_SYSTEM_TIME_NEW.
struct ParavirtualClock {
  private let epoch: MachineEpoch
  /// Ticks of the guest's counter per millisecond.
  var kilohertz = HostProcessor.timeStampKilohertz
  /// What the guest last wrote, to be read back.
  private(set) var systemTime: UInt64 = 0
  private(set) var wallClock: UInt64 = 0

  init(epoch: MachineEpoch) { self.epoch = epoch }

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
  ///
  /// - Parameter offset: what the guest's counter is ahead of the host's.
  mutating func setSystemTime(_ value: UInt64, in memory: GuestMemory, offset: UInt64) {
    systemTime = value
    guard value & 1 != 0 else { return }
    let address = value & ~3
    let (factor, shift) = Self.scale(kilohertz: kilohertz)
    let ticks = HostProcessor.timeStamp
    let nanoseconds = HostClock.nanoseconds - epoch.nanoseconds
    // An odd version tells readers that a change is in progress.
    let version = ((try? memory.load(UInt32.self, at: address)) ?? 0) | 1
    try? memory.store(version, at: address)
    try? memory.store(ticks &+ offset, at: address &+ 8)
    try? memory.store(nanoseconds, at: address &+ 16)
    try? memory.store(factor, at: address &+ 24)
    try? memory.store(UInt8(bitPattern: shift), at: address &+ 28)
    // All processors' counters agree.
    try? memory.store(UInt8(1), at: address &+ 29)
    try? memory.store(version &+ 1, at: address)
  }

  /// Sets PVCLOCK_GUEST_STOPPED, which the guest clears.
  func markPaused(in memory: GuestMemory) {
    let flags = (systemTime & ~3) &+ 29
    guard let old = try? memory.load(UInt8.self, at: flags) else { return }
    try? memory.store(old | 2, at: flags)
  }

  /// Takes the address of a `pvclock_wall_clock`, and fills it in with the time of day at which the
  /// machine's life began.
  mutating func setWallClock(_ value: UInt64, in memory: GuestMemory) {
    wallClock = value
    let version = ((try? memory.load(UInt32.self, at: value)) ?? 0) | 1
    let (seconds, rest) = epoch.wallNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    try? memory.store(version, at: value)
    try? memory.store(UInt32(truncatingIfNeeded: seconds), at: value &+ 4)
    try? memory.store(UInt32(rest), at: value &+ 8)
    try? memory.store(version &+ 1, at: value)
  }
}
