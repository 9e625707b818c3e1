import Glibc
import Host
import HostBackends
import KVM
import Machine

/// A bare run as the command line asks for it.
struct BarePlan {
  var configuration: BareConfiguration
  var isJSON: Bool
  var isVerbose: Bool
}

/// One run of a bare guest, until it, a signal or the reader of its console ends it.
///
/// Belongs to the main thread.
final class BareSession<Backend: Hypervisor> {
  private let plan: BarePlan
  private let machine: RunningMachine<Backend>
  private let signals: SignalSource
  private let loop = EventLoop()
  /// Rings when the run has ended, or the output has failed.
  private let bell: HostEvent
  private let output: TerminalOutput
  /// The console, when it is to be part of the report.
  private let console = ConsoleLog()
  private let failure: Monitor<SystemError?>
  /// The exit status, when something outside the guest has decided it.
  private var verdict: Int32?

  init(
    _ plan: BarePlan, on backend: Backend, signals: consuming SignalSource
  ) throws(Failure) {
    self.plan = plan
    self.signals = signals
    let failure = Monitor<SystemError?>(nil)
    do throws(SystemError) {
      let bell = try HostEvent()
      output = try TerminalOutput(to: STDOUT_FILENO) { error in
        failure.withLock { $0 = error }
        bell.signal()
      }
      (self.bell, self.failure) = (bell, failure)
    } catch {
      throw Failure(error)
    }
    let (bell, output) = (bell, output)
    var connections = MachineConnections()
    connections.outputs["console"] = plan.isJSON ? console : output
    connections.afterWrite = { output.waitForRoom() }
    connections.onEnd = { bell.signal() }
    do throws(MachineError) {
      machine = try .bare(plan.configuration, on: backend, connections: connections)
    } catch {
      throw Failure(error.sentence(plan.configuration))
    }
  }

  /// Runs the guest to its end; returns our exit status.
  func run() throws(Failure) -> Int32 {
    do throws(MachineError) {
      try machine.run()
    } catch {
      throw Failure(error.sentence(plan.configuration))
    }
    do throws(SystemError) {
      loop.watch(signals.descriptor.rawValue) { [unowned self] in
        while let number = signals.next() { end(128 + number) }
      }
      loop.watch(bell.descriptor.rawValue) { [unowned self] in
        bell.clear()
        if let error = failure.withLock({ $0 }) {
          end(128 + (error.errno == EPIPE ? SIGPIPE : SIGHUP))
        }
        if machine.end != nil { loop.stop() }
      }
      try loop.run()
    } catch {
      throw Failure(error)
    }
    return try conclude()
  }

  /// Ends the run from outside the guest.
  private func end(_ status: Int32) {
    verdict = verdict ?? status
    loop.stop()
  }

  private func conclude() throws(Failure) -> Int32 {
    machine.stop()
    let end = machine.end ?? .stopped
    if plan.isJSON {
      let report = BareReport(end, status: verdict ?? end.status, console: console, Backend.name)
      output.write(try report.text())
    }
    drain()
    if let verdict { return verdict }
    if plan.isJSON { return end.status }
    switch end {
    case .halted(let report): Apus.remark(report.ending)
    case .crashed, .unexpected, .failed: throw Failure(end.diagnosis, status: end.status)
    case .exited, .poweredOff, .reset, .stopped: break
    }
    return end.status
  }

  private func drain() {
    drainOutput(output.drain(by:)) {
      while let number = signals.next() { verdict = verdict ?? 128 + number }
      return verdict != nil
    }
    output.close()
  }
}
