import Chipset
import DeviceModel
import Engine
import Host
import KVM

/// The synthetic interrupt controller and its timers.
///
/// Reference: Hypervisor Top-Level Functional Specification, "Virtual Interrupts" and
/// "Inter-Partition Communication".
extension SoftEnvironment {
  /// Switches it on (KVM_CAP_HYPERV_SYNIC); false without an APIC here.
  func activateSynthetic(keepingPages: Bool) -> Bool {
    guard let chips else { return false }
    hyperV.activate(keepingPages: keepingPages, alarm: makeAlarm(of: chips))
    return true
  }

  private func makeAlarm(of chips: InterruptChips) -> Alarm {
    let alarm = chips.thread.queue.makeAlarm()
    alarm.onFire { [weak mailbox] _ in mailbox?.postTimer() }
    return alarm
  }

  // MARK: Registers

  func readSynthetic(_ number: UInt32) -> UInt64? {
    switch number {
    case HyperVRegister.synicControl: hyperV.control
    case HyperVRegister.synicVersion: hyperV.version
    case HyperVRegister.eventPage: hyperV.eventPage
    case HyperVRegister.messagePage: hyperV.messagePage
    case HyperVRegister.endOfMessage: 0
    case HyperVRegister.interruptSources: hyperV.target.source(Int(number & 0xf))
    case HyperVRegister.timers:
      number & 1 == 0
        ? hyperV.timers[Int(number & 7) / 2].configuration.rawValue
        : hyperV.timers[Int(number & 7) / 2].count
    default: nil
    }
  }

  func writeSynthetic(_ number: UInt32, _ value: UInt64) -> Bool {
    // From outside, what is off can be told so.
    guard hyperV.isActive || isHostWriting && value == 0 else { return false }
    switch number {
    case HyperVRegister.synicControl: hyperV.control = value
    case HyperVRegister.synicVersion:
      guard isHostWriting else { return false }
      hyperV.version = value
    case HyperVRegister.eventPage:
      guard preparePage(value) else { return false }
      hyperV.eventPage = value
    case HyperVRegister.messagePage:
      guard preparePage(value) else { return false }
      hyperV.messagePage = value
    case HyperVRegister.endOfMessage:
      for source in 0..<UInt32(16) { acknowledged(source) }
    case HyperVRegister.interruptSources: return setSource(Int(number & 0xf), value)
    case HyperVRegister.timers: return writeTimer(number, value)
    default: return false
    }
    let isTold = [
      HyperVRegister.synicControl, HyperVRegister.eventPage, HyperVRegister.messagePage,
    ].contains(number)
    if isTold, !isHostWriting { tellOfSynthetic(number) }
    if !isHostWriting { advanceTimers() }
    return true
  }

  /// Clears the page that the guest wants to use.
  private func preparePage(_ value: UInt64) -> Bool {
    guard value & 1 != 0, !isHostWriting, !hyperV.keepsPages else { return true }
    let nothing = [512 of UInt64](repeating: 0)
    return (try? memory.store(nothing, at: value & ~0xfff)) != nil
  }

  private func setSource(_ number: Int, _ value: UInt64) -> Bool {
    let isMasked = value & 1 << 16 != 0
    guard value & 0xff >= 16 || isHostWriting || isMasked else { return false }
    hyperV.target.setSource(number, value)
    let (used, endedAtOnce) = hyperV.target.vectors
    chips?.controller.setSynthetic(reported: used, endedAtOnce: endedAtOnce, processor: index)
    return true
  }

  private func writeTimer(_ number: UInt32, _ value: UInt64) -> Bool {
    let timer = Int(number & 7) / 2
    if number & 1 == 0 {
      let isDirect = SyntheticTimer.Configuration(rawValue: value).isDirect
      guard isHostWriting || !isDirect || hyperV.features.hasDirectTimers else { return false }
      hyperV.timers[timer].configure(value)
    } else {
      hyperV.timers[timer].setCount(value, byHost: isHostWriting)
    }
    if isHostWriting { hyperV.scheduleAlarm() } else { advanceTimers() }
    return true
  }

  /// Tells the client, which has its own part of the controller, by an exit.
  private func tellOfSynthetic(_ number: UInt32) {
    _ = relay?.leave(
      .hyperV(
        .synic(
          register: number, control: hyperV.control, eventPage: hyperV.eventPage,
          messagePage: hyperV.messagePage)), value: 0)
  }

  // MARK: Between runs of translated code

  /// Looks after timers, and after interrupts that the guest has ended.
  func serveSynthetic() {
    guard hyperV.isActive else { return }
    let ended = mailbox.takeSynthetic()
    if !ended.isEmpty {
      for source in 0..<UInt32(16) {
        if let vector = hyperV.target.vector(of: source), ended.contains(vector) {
          acknowledged(source)
        }
      }
    }
    advanceTimers()
  }

  /// The guest has seen a source's interrupt, or taken its message.
  private func acknowledged(_ source: UInt32) {
    for timer in hyperV.timers.indices { hyperV.timers[timer].acknowledged(source) }
    chips?.controller.ended(SyntheticInput(processor: hyperV.target.index, source: source))
  }

  private func advanceTimers() {
    for number in hyperV.timers.indices where hyperV.timers[number].isWaiting {
      var timer = hyperV.timers[number]
      // One in the past expires as soon as it is started.
      repeat {
        let (time, now) = (referenceTime, HostClock.nanoseconds)
        timer.advance(time: time, now: now) { expire($0, number: number, time: time) }
      } while timer.isDue
      hyperV.timers[number] = timer
    }
    hyperV.scheduleAlarm()
  }

  /// Tells the guest that a timer has expired; false if that has to wait.
  private func expire(_ timer: SyntheticTimer, number: Int, time: UInt64) -> Bool {
    let configuration = timer.configuration
    if configuration.isDirect {
      return chips?.controller.deliver(vector: configuration.vector, to: index) ?? true
    }
    guard hyperV.messagePage & 1 != 0 else { return false }
    let address = hyperV.messagePage & ~0xfff + UInt64(configuration.source) * 256
    guard let waiting = try? memory.load(UInt32.self, at: address) else { return false }
    if waiting != 0 {
      // The next tick will do as well. For others the guest says when there is room.
      if configuration.isPeriodic { return true }
      try? memory.store(UInt8(1), at: address + 5)
      return false
    }
    // The type and the size of what follows: number, when it was to be, when it is.
    let message: [5 of UInt64] = [
      24 << 32 | 0x8000_0010, 0, UInt64(number), timer.expiry, time,
    ]
    guard (try? memory.store(message, at: address)) != nil,
      let vector = hyperV.target.vector(of: configuration.source)
    else { return false }
    return chips?.controller.deliver(vector: vector, to: index) ?? false
  }
}
