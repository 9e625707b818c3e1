import Glibc
import Host
import HostBackends
import KVM
import Machine

/// One run of a guest: its machine, our streams and the signals, until one of them ends it.
///
/// Belongs to the main thread; what other threads notice reaches it through ``GuestStreams``.
final class GuestSession<Backend: Hypervisor> {
  private let plan: RunPlan
  private let streams: GuestStreams
  private let machine: RunningMachine<Backend>
  private let signals: SignalSource
  private let loop = EventLoop()
  private var input: TerminalInput?
  private var times: RunTimes
  /// The exit status, when something outside the guest has decided it.
  private var verdict: Int32?

  /// Builds the machine; nothing runs yet.
  init(
    _ plan: RunPlan, on backend: Backend, signals: consuming SignalSource, begunAt start: UInt64
  ) throws(Failure) {
    self.plan = plan
    self.signals = signals
    times = RunTimes(begunAt: start)
    if plan.isInteractive { TerminalModes.prepareForFaults() }
    do throws(SystemError) {
      streams = try GuestStreams(plan)
    } catch {
      throw Failure(error)
    }
    do throws(MachineError) {
      let guest = try LoadedGuest(plan.configuration, substitute: plan.initramfs)
      times.reach(.filesRead, at: guest.readTime)
      times.reach(.kernelPlaced, at: HostClock.nanoseconds)
      machine = try RunningMachine(
        plan.configuration, on: backend, guest: guest, connections: streams.connections)
    } catch {
      throw Failure(error.sentence(plan.configuration))
    }
    times.reach(.machineBuilt, at: HostClock.nanoseconds)
  }

  /// Runs the guest to its end; returns our exit status.
  func run() throws(Failure) -> Int32 {
    do throws(MachineError) {
      try machine.run()
    } catch {
      throw Failure(error.sentence(plan.configuration))
    }
    do throws(SystemError) {
      try connect()
      try loop.run()
    } catch {
      TerminalModes.restore()
      throw Failure(error)
    }
    return try conclude()
  }

  // MARK: While it runs

  private func connect() throws(SystemError) {
    loop.watch(signals.descriptor.rawValue) { [unowned self] in
      while let number = signals.next() { receive(number) }
    }
    loop.watch(streams.bell.descriptor.rawValue) { [unowned self] in
      streams.bell.clear()
      hear()
    }
    guard let receiver = machine.input(plan.mode == .console ? "com1" : "channel") else { return }
    input = try TerminalInput(from: STDIN_FILENO, to: receiver, on: loop) { [unowned self] end in
      inputEnded(end)
    }
    guard plan.isInteractive else { return }
    streams.errors.write("To leave the guest, press Ctrl-] three times.\r\n")
    try TerminalModes.makeRaw(STDIN_FILENO)
  }

  private func receive(_ signal: CInt) {
    // A serial line has no way to tell its other end a new size.
    if signal != SIGWINCH { end(128 + signal) }
  }

  private func inputEnded(_ end: TerminalInput.End) {
    switch end {
    case .left: self.end(0)
    case .exhausted where plan.isInteractive: self.end(128 + SIGHUP)
    case .exhausted: machine.endInput()
    }
  }

  /// Looks at what other threads have noted.
  private func hear() {
    let news = streams.news.withLock { $0 }
    if let failure = news.outputFailure {
      return end(128 + (failure.errno == EPIPE ? SIGPIPE : SIGHUP))
    }
    // A guest that has carried out its order has nothing left to do but to power off.
    let isDone = news.exit != nil && plan.mode != .console
    if isDone || machine.end != nil { loop.stop() }
  }

  /// Ends the run from outside the guest.
  private func end(_ status: Int32) {
    verdict = verdict ?? status
    loop.stop()
  }

  // MARK: At the end

  private func conclude() throws(Failure) -> Int32 {
    let end = machine.end
    machine.stop()
    // A profile is complete when the processors have ended.
    if plan.isProfiled { _ = machine.wait() }
    input?.close()
    let news = streams.news.withLock { $0 }
    if verdict == nil, plan.mode == .report, news.exit != nil {
      streams.output.write(timetable(news))
    }
    drain()
    TerminalModes.restore()
    if let verdict { return verdict }
    if plan.mode == .console {
      guard let diagnosis = end?.diagnosis else { return 0 }
      throw Failure(diagnosis, status: Failure.guest)
    }
    if let exit = news.exit { return Int32(exit.status) }
    throw earlyEnd(end, hasStarted: news.startTime != nil)
  }

  private func drain() {
    drainOutput(streams.drain(by:)) {
      while let signal = signals.next() { receive(signal) }
      return verdict != nil
    }
    streams.close()
  }

  private func timetable(_ news: GuestStreams.News) -> String {
    if let time = news.startTime { times.reach(.guestStarted, at: time) }
    if let time = news.exit?.time { times.reach(.guestFinished, at: time) }
    return "\n" + times.table
  }

  /// The guest ended without an exit status for its command.
  private func earlyEnd(_ end: RunEnd?, hasStarted: Bool) -> Failure {
    let lines = streams.console.lastLines(30)
    let how = end == .poweredOff ? "powered off" : "was reset"
    var text =
      end?.diagnosis
      ?? "the guest \(how) before its command \(hasStarted ? "ended" : "could run")."
    if let panic = streams.console.lastLines(.max).last(where: { $0.contains("Kernel panic") }) {
      text += " Its kernel said: \(panic)"
    }
    if !plan.isVerbose && !lines.isEmpty {
      text += "\nThe last lines of its console:\n  " + lines.joined(separator: "\n  ")
    }
    return Failure(text, status: Failure.guest)
  }
}
