import Host

/// When a run reached which step, in nanoseconds of ``HostClock``.
struct RunTimes {
  enum Step: CaseIterable {
    case begun, filesRead, kernelPlaced, machineBuilt, guestStarted, guestFinished

    /// What the time up to this step was spent on.
    var title: String {
      switch self {
      case .begun: ""
      case .filesRead: "read the kernel, make the initial RAM disk"
      case .kernelPlaced: "decompress and place the kernel"
      case .machineBuilt: "build the machine"
      case .guestStarted: "boot, from the first instruction to /init"
      case .guestFinished: "the guest's own work"
      }
    }
  }

  private var times: [Step: UInt64]

  init(begunAt time: UInt64) { times = [.begun: time] }

  /// Notes that `step` was reached at `time`.
  mutating func reach(_ step: Step, at time: UInt64) { times[step] = time }

  /// One line per step, and the sum.
  var table: String {
    let reached = Step.allCases.compactMap { step in times[step].map { (step, $0) } }
    var lines = zip(reached, reached.dropFirst()).map { before, after in
      Self.line(after.0.title, nanoseconds: after.1 &- before.1)
    }
    if let first = reached.first, let last = reached.last, lines.count > 1 {
      lines.append(Self.line("in all", nanoseconds: last.1 &- first.1))
    }
    return lines.joined()
  }

  private static func line(_ title: String, nanoseconds: UInt64) -> String {
    let milliseconds = (nanoseconds + 500_000) / 1_000_000
    let fraction = String(milliseconds % 1000 + 1000).dropFirst()
    let seconds = "\(milliseconds / 1000).\(fraction) s"
    return seconds.leftPadded(to: 10) + "  \(title)\n"
  }
}

extension String {
  /// The text with spaces before it, at least `width` characters.
  func leftPadded(to width: Int) -> String {
    String(repeating: " ", count: max(0, width - count)) + self
  }
}
