/// An 8254 (`struct kvm_pit_state2`).
public struct IntervalTimerState: Hashable, Sendable, BitwiseCopyable {
  public var channels = FixedArray<3, IntervalTimerChannel>(repeating: IntervalTimerChannel())
  public var flags: Flags = []

  public init() {}

  /// KVM_PIT_FLAGS_*.
  public struct Flags: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// An HPET replaces it.
    public static let replaced = Self(rawValue: 1 << 0)
    /// Bit 1 of port 0x61.
    public static let speakerData = Self(rawValue: 1 << 1)
  }
}

/// One counter of an 8254 (`struct kvm_pit_channel_state`).
public struct IntervalTimerChannel: Hashable, Sendable, BitwiseCopyable {
  /// Up to 65536.
  public var count: UInt32 = 0
  public var latchedCount: UInt16 = 0
  public var isCountLatched: UInt8 = 0
  public var isStatusLatched: UInt8 = 0
  public var status: UInt8 = 0
  /// Which byte is next.
  public var readState: UInt8 = 0
  public var writeState: UInt8 = 0
  public var writeLatch: UInt8 = 0
  /// Low byte, high byte, or both.
  public var accessMode: UInt8 = 0
  public var mode: UInt8 = 0
  public var isDecimal: UInt8 = 0
  public var gate: UInt8 = 0
  /// In nanoseconds of the host's monotonic clock.
  public var loadTime: Int64 = 0

  public init() {}
}

/// The machine's clock (`struct kvm_clock_data`).
public struct MachineClock: Hashable, Sendable, BitwiseCopyable {
  /// What the guest's clock shows, in nanoseconds.
  public var nanoseconds: UInt64
  /// The host's time of day then, in nanoseconds; `nil` where it is unknown.
  public var realTime: UInt64?
  /// The host's time-stamp counter then.
  public var hostTimeStamp: UInt64?
  /// All processors have the same time-stamp counter.
  public var isTimeStampStable: Bool

  public init(
    nanoseconds: UInt64, realTime: UInt64? = nil, hostTimeStamp: UInt64? = nil,
    isTimeStampStable: Bool = false
  ) {
    self.nanoseconds = nanoseconds
    self.realTime = realTime
    self.hostTimeStamp = hostTimeStamp
    self.isTimeStampStable = isTimeStampStable
  }
}

/// The machine's timer and clock. Any thread.
public protocol TimedMachine: VirtualMachine {
  /// As ``VirtualMachine/makeTimer()``, with or without the speaker's port (KVM_CREATE_PIT2;
  /// KVM_CREATE_PIT is its older form).
  func makeTimer(hasSpeaker: Bool) throws(KVMError)
  /// KVM_GET_PIT2, or KVM_GET_PIT without the flags; ENXIO without the timer.
  func intervalTimer() throws(KVMError) -> IntervalTimerState
  /// KVM_SET_PIT2, or KVM_SET_PIT without the flags.
  func setIntervalTimer(_ state: IntervalTimerState) throws(KVMError)
  /// Whether ticks that the guest missed are made up for (KVM_REINJECT_CONTROL).
  func setTimerReinjection(_ wanted: Bool) throws(KVMError)

  /// KVM_GET_CLOCK
  func clock() throws(KVMError) -> MachineClock
  /// KVM_SET_CLOCK; with a time of day, the clock goes on by what passed since.
  func setClock(_ clock: MachineClock) throws(KVMError)
}
