import Glibc
import Host
import HostBackends
import Machine

/// What a guest's devices are connected to on our side, and what other threads note about the run.
final class GuestStreams: Sendable {
  /// What happened on other threads; times as ``HostClock`` counts them.
  struct News: Sendable {
    var startTime: UInt64?
    var exit: (status: UInt8, time: UInt64)?
    var outputFailure: SystemError?
  }

  let output: TerminalOutput
  let errors: TerminalOutput
  /// The end of what the guest's kernel said.
  let console: ConsoleLog
  let news: Monitor<News>
  /// Rings when there is news, or the run has ended.
  let bell: HostEvent
  let connections: MachineConnections

  init(_ plan: RunPlan) throws(SystemError) {
    let news = Monitor(News())
    let bell = try HostEvent()
    let failed: @Sendable (SystemError) -> Void = { error in
      news.withLock { $0.outputFailure = error }
      bell.signal()
    }
    let output = try TerminalOutput(to: STDOUT_FILENO, onFailure: failed)
    let errors = try TerminalOutput(to: STDERR_FILENO)
    let console =
      switch plan.mode {
      case .console: ConsoleLog(passingOnTo: output)
      case .report, .command:
        plan.isVerbose ? ConsoleLog(passingOnTo: errors) : ConsoleLog()
      }
    var connections = MachineConnections()
    connections.outputs = ["com1": console, "channel": output, "channel-error": errors]
    connections.afterWrite = {
      output.waitForRoom()
      errors.waitForRoom()
    }
    connections.onReport = { event in
      let time = HostClock.nanoseconds
      news.withLock { news in
        switch event {
        case .started: news.startTime = news.startTime ?? time
        case .exited(let status): news.exit = news.exit ?? (status, time)
        }
      }
      bell.signal()
    }
    connections.onEnd = { bell.signal() }
    (self.output, self.errors, self.console) = (output, errors, console)
    (self.news, self.bell, self.connections) = (news, bell, connections)
  }

  /// Waits until everything has been written, at most until `deadline`; returns whether it has.
  func drain(by deadline: UInt64) -> Bool {
    output.drain(by: deadline) && errors.drain(by: deadline)
  }

  /// Takes no more output, and lets go of those who wait to write.
  func close() {
    output.close()
    errors.close()
  }
}
