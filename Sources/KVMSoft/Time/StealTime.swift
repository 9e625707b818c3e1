import Engine
import Host

/// Tells the guest how long its processor was ready to run while the host ran something else.
///
/// Reference: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_STEAL_TIME.
final class StealTime {
  /// What the guest last wrote: the address of a `kvm_steal_time`, with bit 0 to enable it.
  private(set) var register: UInt64 = 0
  /// The wait that the page has counted already, and when that was.
  private var counted: UInt64 = 0
  private var lastUpdate: UInt64 = 0

  private static let reserved: UInt64 = 0x3e
  /// Asking the host takes microseconds: not with every run.
  private static let interval: UInt64 = 200_000

  /// Returns `false` for an address that cannot be.
  func set(_ value: UInt64) -> Bool {
    guard value & Self.reserved == 0 else { return false }
    register = value
    (counted, lastUpdate) = (HostThread.waitedNanoseconds, 0)
    return true
  }

  /// Adds what was waited since the last time.
  func update(in memory: ProcessorGroup) {
    guard register & 1 != 0 else { return }
    let now = HostClock.nanoseconds
    guard now - lastUpdate >= Self.interval else { return }
    lastUpdate = now
    let waited = HostThread.waitedNanoseconds
    let address = register & ~0x3f
    let version = ((try? memory.load(UInt32.self, at: address &+ 8)) ?? 0) | 1
    let before = (try? memory.load(UInt64.self, at: address)) ?? 0
    try? memory.store(version, at: address &+ 8)
    // A processor that another thread runs now starts counting there.
    try? memory.store(before &+ (waited >= counted ? waited - counted : 0), at: address)
    try? memory.store(version &+ 1, at: address &+ 8)
    counted = waited
  }
}
