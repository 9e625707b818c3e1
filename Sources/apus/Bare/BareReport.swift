import FoundationEssentials
import KVM
import Machine

extension RunEnd {
  /// The exit status of a bare guest that ended so.
  var status: Int32 {
    switch self {
    case .halted(let report): Int32(report.registers.rax & 0xff)
    case .exited(let status): Int32(status)
    case .poweredOff, .reset, .stopped: 0
    case .crashed, .unexpected, .failed: Failure.guest
    }
  }

  /// The word for it in JSON.
  fileprivate var name: String {
    switch self {
    case .halted: "halted"
    case .exited: "exited"
    case .poweredOff: "powered off"
    case .reset: "reset"
    case .stopped: "stopped"
    case .crashed: "crashed"
    case .unexpected: "unexpected"
    case .failed: "failed"
    }
  }

  /// The processor's state, where it is known.
  fileprivate var report: ProcessorReport? {
    switch self {
    case .halted(let report), .crashed(let report), .unexpected(_, let report): report
    case .exited, .poweredOff, .reset, .stopped, .failed: nil
    }
  }
}

extension ProcessorReport {
  /// What to say of a bare guest that is done.
  var ending: String { "the guest halted (\(place)).\n\(table)" }
}

/// How a bare guest ended, as `--json` prints it.
struct BareReport: Encodable {
  let end: String
  let status: Int32
  /// A sentence, for ends that are no success.
  let reason: String?
  let accelerator: String
  /// The end of what the guest wrote to its console, at most 32 KiB.
  let console: String
  /// Hexadecimal, as JSON has no integers of 64 bits.
  let registers: [String: String]?

  init(_ end: RunEnd, status: Int32, console: ConsoleLog, _ accelerator: String) {
    self.end = end.name
    self.status = status
    self.accelerator = accelerator
    self.console = console.text
    let diagnosis: String? = if case .halted = end { nil } else { end.diagnosis }
    reason = diagnosis?.split(separator: "\n").first.map(String.init)
    registers = end.report.map { report in
      let named = report.rows.joined().map { ($0.name, hexadecimal($0.value)) }
      return Dictionary(uniqueKeysWithValues: named)
    }
  }

  func text() throws(Failure) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else {
      throw Failure("the report cannot be written as JSON.")
    }
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}
