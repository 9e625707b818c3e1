import KVM

extension PIT {
  /// What KVM_GET_PIT2 tells.
  func state(now: UInt64) -> IntervalTimerState {
    var state = IntervalTimerState()
    for index in channels.indices { state.channels[index] = channels[index].state(now: now) }
    if systemControl & 2 != 0 { state.flags.insert(.speakerData) }
    if isReplaced { state.flags.insert(.replaced) }
    return state
  }

  /// Takes what KVM_SET_PIT2 gives; counters go on where they were when it was saved.
  mutating func restore(_ state: IntervalTimerState, now: UInt64) {
    for index in channels.indices { channels[index].restore(state.channels[index], now: now) }
    let gate: UInt8 = channels[2].gate ? 1 : 0
    systemControl = systemControl & 0xc | (state.flags.contains(.speakerData) ? 2 : 0) | gate
    isReplaced = state.flags.contains(.replaced)
    forgetMissed()
    reschedule(now: now)
    if let missed = channels[0].missedRise(now: now), !isReplaced { schedule(at: missed) }
  }
}

extension PITChannel {
  /// The mode that KVM shows before there was a control word.
  private static let unprogrammed: UInt8 = 0xff
  /// The load time of a counter that has no count yet.
  private static let never: Int64 = -1

  fileprivate func state(now: UInt64) -> IntervalTimerChannel {
    var state = IntervalTimerChannel()
    state.count = UInt32(reload)
    state.latchedCount = latchedCount ?? 0
    if latchedCount != nil { state.isCountLatched = access == 3 && readsHigh ? 2 : access }
    state.isStatusLatched = latchedStatus == nil ? 0 : 1
    state.status = latchedStatus ?? 0
    state.accessMode = access
    state.readState = access == 3 && readsHigh ? 4 : access
    state.writeState = access == 3 && writesHigh ? 4 : access
    state.writeLatch = firstByte
    state.mode = access == 0 ? Self.unprogrammed : mode
    state.isDecimal = isBCD ? 1 : 0
    state.gate = gate ? 1 : 0
    if let frozen {
      // What was counted tells when it would have begun without a stop.
      let ago = scaled(frozen, by: 1_000_000_000, over: Self.frequency)
      state.loadTime = Int64(bitPattern: now &- ago)
    } else {
      state.loadTime = start.map { Int64(bitPattern: $0) } ?? Self.never
    }
    return state
  }

  fileprivate mutating func restore(_ state: IntervalTimerChannel, now: UInt64) {
    self = PITChannel(gate: state.gate != 0)
    access = min(state.accessMode, 3)
    reload = state.count == 0 ? 0x10000 : UInt64(min(state.count, 0x10000))
    isBCD = state.isDecimal & 1 != 0
    firstByte = state.writeLatch
    readsHigh = state.readState == 4 || access == 3 && state.isCountLatched == 2
    writesHigh = access == 3 && state.writeState == 4
    latchedCount = state.isCountLatched == 0 ? nil : state.latchedCount
    latchedStatus = state.isStatusLatched == 0 ? nil : state.status
    guard state.mode != Self.unprogrammed else { return }
    mode = state.mode & 7
    if mode > 5 { mode -= 4 }
    guard state.loadTime != Self.never else { return }
    isNull = false
    // A time that cannot be, or none: the count begins now, as with KVM.
    let loaded = UInt64(bitPattern: state.loadTime)
    start = loaded > 0 && loaded <= now ? loaded : now
    if !gate { frozen = mode == 1 || mode == 5 ? nil : elapsed(at: now) }
  }

  /// A rise of a one-shot mode that came while nobody looked; better twice than never.
  fileprivate func missedRise(now: UInt64) -> UInt64? {
    guard start != nil, frozen == nil, mode < 2, nextRise(after: now) == nil else { return nil }
    return now
  }
}
