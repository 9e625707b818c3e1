import Engine

/// Hyper-V's time, in units of 100 ns: a counter, and a page with which the guest computes it from
/// its time-stamp counter.
///
/// Reference: Hypervisor Top-Level Functional Specification, "Partition Reference TSC Page".
struct ReferenceTime {
  /// What the guest last wrote: the page's address, and bit 0 to enable it.
  private(set) var register: UInt64 = 0
  private var status = Status.unused
  /// Ticks times `scale`, shifted right by 64, plus `offset`.
  private var scale: UInt64 = 0
  private var offset: UInt64 = 0

  private enum Status {
    /// There is no page, or none that can be written.
    case unused
    case changedByGuest, changedByHost
    case shown
  }

  /// What the clocks show at one moment.
  struct Moment {
    /// The guest's counter, and its rate.
    var timeStamp: UInt64
    var kilohertz: UInt64
    /// The machine's time.
    var nanoseconds: UInt64
  }

  var isShown: Bool { status == .shown }

  /// Takes the page's address. It has no content until ``publish(at:in:isEmulated:)``.
  mutating func set(_ value: UInt64, byHost: Bool) {
    register = value
    status = value & 1 == 0 ? .unused : byHost ? .changedByHost : .changedByGuest
  }

  /// The machine's time was set, or the guest's counter. A guest that has its counter emulated
  /// after a move to another host relies on the old page.
  mutating func timeChanged(isEmulated: Bool) {
    if isShown, !isEmulated { status = .changedByHost }
  }

  func value(at moment: Moment) -> UInt64 {
    isShown
      ? moment.timeStamp.multipliedFullWidth(by: scale).high &+ offset : moment.nanoseconds / 100
  }

  /// Fills the page in, if it is to be.
  mutating func publish(at moment: Moment, in memory: ProcessorGroup, isEmulated: Bool) {
    guard status == .changedByGuest || status == .changedByHost else { return }
    let address = register & ~0xfff
    guard let sequence = try? memory.load(UInt32.self, at: address) else {
      status = .unused
      return
    }
    if sequence != 0, status == .changedByHost, isEmulated {
      // The page came with the guest from another host.
      scale = (try? memory.load(UInt64.self, at: address + 8)) ?? 0
      offset = (try? memory.load(UInt64.self, at: address + 16)) ?? 0
      status = .shown
      return
    }
    compute(at: moment)
    // With the number 0, guests read the counter instead.
    try? memory.store(UInt32(0), at: address)
    try? memory.store(scale, at: address + 8)
    try? memory.store(offset, at: address + 16)
    let next = sequence &+ 1
    try? memory.store(next == 0 || next == .max ? 1 : next, at: address)
    status = .shown
  }

  /// The same line through time as KVM's clock, so that both agree.
  private mutating func compute(at moment: Moment) {
    let (factor, shift) = ParavirtualClock.scale(kilohertz: moment.kilohertz)
    // factor * 2^(32 + shift) / 100. Counters below 1 MHz are not worth a page of precision.
    let product = UInt64(factor).multipliedFullWidth(by: 1 << UInt64(max(0, 32 + Int(shift))))
    scale = product.high >= 100 ? .max : UInt64(100).dividingFullWidth(product).quotient
    offset = moment.nanoseconds / 100 &- moment.timeStamp.multipliedFullWidth(by: scale).high
  }
}
