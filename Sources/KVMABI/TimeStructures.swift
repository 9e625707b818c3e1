public import CLinux
public import KVM

extension IntervalTimerChannel {
  public init(_ values: kvm_pit_channel_state) {
    self.init()
    (count, latchedCount) = (values.count, values.latched_count)
    (isCountLatched, isStatusLatched) = (values.count_latched, values.status_latched)
    (status, readState) = (values.status, values.read_state)
    (writeState, writeLatch) = (values.write_state, values.write_latch)
    (accessMode, mode) = (values.rw_mode, values.mode)
    (isDecimal, gate) = (values.bcd, values.gate)
    loadTime = values.count_load_time
  }
}

extension kvm_pit_channel_state {
  public init(_ channel: IntervalTimerChannel) {
    self.init()
    (count, latched_count) = (channel.count, channel.latchedCount)
    (count_latched, status_latched) = (channel.isCountLatched, channel.isStatusLatched)
    (status, read_state) = (channel.status, channel.readState)
    (write_state, write_latch) = (channel.writeState, channel.writeLatch)
    (rw_mode, mode) = (channel.accessMode, channel.mode)
    (bcd, gate) = (channel.isDecimal, channel.gate)
    count_load_time = channel.loadTime
  }
}

extension IntervalTimerState {
  public init(_ values: kvm_pit_state2) {
    self.init(channels: values.channels)
    flags = Flags(rawValue: values.flags)
  }

  /// The older form, which has no flags.
  public init(_ values: kvm_pit_state) { self.init(channels: values.channels) }

  private init(
    channels: (kvm_pit_channel_state, kvm_pit_channel_state, kvm_pit_channel_state)
  ) {
    self.init()
    self.channels = [
      IntervalTimerChannel(channels.0), IntervalTimerChannel(channels.1),
      IntervalTimerChannel(channels.2),
    ]
  }
}

extension kvm_pit_state2 {
  public init(_ state: IntervalTimerState) {
    self.init()
    channels = kvm_pit_state(state).channels
    flags = state.flags.rawValue
  }
}

extension kvm_pit_state {
  public init(_ state: IntervalTimerState) {
    self.init()
    channels = (
      kvm_pit_channel_state(state.channels[0]), kvm_pit_channel_state(state.channels[1]),
      kvm_pit_channel_state(state.channels[2])
    )
  }
}

extension MachineClock {
  public init(_ values: kvm_clock_data) {
    let flags = CInt(bitPattern: values.flags)
    self.init(
      nanoseconds: values.clock, realTime: flags & KVM_CLOCK_REALTIME != 0 ? values.realtime : nil,
      hostTimeStamp: flags & KVM_CLOCK_HOST_TSC != 0 ? values.host_tsc : nil,
      isTimeStampStable: flags & KVM_CLOCK_TSC_STABLE != 0)
  }
}

extension kvm_clock_data {
  public init(_ value: MachineClock) {
    self.init()
    clock = value.nanoseconds
    realtime = value.realTime ?? 0
    host_tsc = value.hostTimeStamp ?? 0
    var bits = value.isTimeStampStable ? KVM_CLOCK_TSC_STABLE : 0
    if value.realTime != nil { bits |= KVM_CLOCK_REALTIME }
    if value.hostTimeStamp != nil { bits |= KVM_CLOCK_HOST_TSC }
    flags = UInt32(bitPattern: bits)
  }
}
