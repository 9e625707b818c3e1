import ArgumentParser
import Glibc
import Host

@main
struct Apus: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "Runs virtual machines, with or without hardware virtualization.",
    version: "apus 0.1.0",
    subcommands: [Run.self, Bare.self, KVMCommand.self, DiskCommand.self, Probe.self])

  /// Parses the arguments, runs the command, and turns every error into a sentence and a status.
  static func main() {
    FileDescriptor.openMissingStandardStreams()
    // A reader of our output that goes away is an error of writing, not a signal.
    _ = signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      end(failure)
    } catch {
      end(parsing: error)
    }
  }

  private static func end(_ failure: Failure) -> Never {
    if let sentence = failure.sentence { complain(sentence) }
    Glibc.exit(failure.status)
  }

  /// Ends after what the argument parser threw: help asked for, or arguments that make no sense.
  private static func end(parsing error: any Error) -> Never {
    guard exitCode(for: error) != .success else { exit(withError: error) }
    let message = message(for: error)
    complain(message.isEmpty ? fullMessage(for: error) : message)
    Glibc.exit(Failure.misuse)
  }

  /// Says something on standard error that is no error.
  static func remark(_ sentence: String) { complain(sentence) }

  private static func complain(_ sentence: String) {
    let line = [UInt8]("apus: \(sentence)\n".utf8)
    // When standard error takes nothing, there is nobody to tell.
    if let output = try? FileDescriptor.duplicate(of: STDERR_FILENO) { try? output.writeAll(line) }
  }
}
