import CNative
import Engine
import Foundation

/// Running cases by the thousand, and telling what differs.
enum Differential {
  /// Runs one seed's case; returns a report if it differs.
  static func repeatCase(seed: UInt64) throws -> [String] {
    let runner = try DifferentialRunner()
    let test = DifferentialCase(seed: seed)
    guard case .differed = try runner.runAlone(test, test.variant) else { return [] }
    return [try report(test, test.variant, runner)]
  }

  /// Runs many cases; returns a report for each that differs, a few at most.
  static func run(from first: UInt64, count: Int) throws -> [String] {
    let seeds = first..<first + UInt64(count)
    let clock = ContinuousClock()
    let began = clock.now
    let runner = try DifferentialRunner()
    var (instructions, skipped, faults) = (0, 0, 0)
    var failures: [String] = []
    var next = seeds.lowerBound
    let isTracing = environmentNumber("APUS_TRACE") != nil
    let limit = Int(environmentNumber("APUS_FAILURES") ?? 5)
    while next < seeds.upperBound, failures.count < limit {
      var batch: [DifferentialCase] = []
      while batch.count < Int(NATIVE_BATCH), next < seeds.upperBound {
        let test = DifferentialCase(seed: next)
        next += 1
        if test.write(to: runner.native(batch.count)) { batch.append(test) } else { skipped += 1 }
      }
      runner.runNative(batch.count)
      for (index, test) in batch.enumerated() {
        instructions += test.snippet.items.count
        if runner.native(index).pointee.after.trap != 3 { faults += 1 }
        let variant = test.variant
        if isTracing {
          FileHandle.standardError.write(
            Data("seed \(test.seed) \(variant)\n\(describe(test))".utf8))
        }
        switch try runner.compare(test, index, variant) {
        case .agreed: break
        case .skipped: skipped += 1
        case .differed(let found):
          failures.append(try explain(test, variant, found))
        }
      }
    }
    let took = clock.now - began
    print(
      "\(seeds): \(instructions) instructions, \(faults) faults, \(skipped) skipped, "
        + "\(failures.count) differences in \(took)")
    return failures
  }

  /// A report of a difference, which may not come again on a fresh machine.
  static func explain(
    _ test: DifferentialCase, _ variant: GuestVariant, _ found: [String]
  ) throws -> String {
    let runner = try DifferentialRunner()
    if case .differed = try runner.runAlone(test, variant) {
      return try report(test, variant, runner)
    }
    return "seed \(test.seed), \(variant): differs only after the cases before it\n"
      + describe(test) + found.joined(separator: "\n")
  }

  /// Leaves out instructions as long as a difference remains, and describes the rest.
  static func report(
    _ test: DifferentialCase, _ variant: GuestVariant, _ runner: DifferentialRunner
  ) throws -> String {
    var least = test
    var found: [String] = []
    var isShrinking = true
    while isShrinking {
      isShrinking = false
      for index in least.snippet.items.indices.reversed() {
        var shorter = least
        shorter.snippet = least.snippet.without(index)
        if case .differed = try runner.runAlone(shorter, variant) {
          least = shorter
          isShrinking = true
        }
      }
      if least.snippet.cut != nil {
        var straight = least
        straight.snippet.cut = nil
        if case .differed = try runner.runAlone(straight, variant) { least = straight }
      }
    }
    if case .differed(let differences) = try runner.runAlone(least, variant) {
      found = differences
    }
    let ended = runner.native(0).pointee.after
    return "seed \(test.seed), \(variant)\n" + describe(least)
      + "host ends with \(ended.trap) at \(String(ended.rip, radix: 16))\n"
      + found.joined(separator: "\n")
  }

  static func describe(_ test: DifferentialCase) -> String {
    let start = test.before.instructionPointer
    let bytes = test.snippet.layout(at: start) ?? []
    func hex(_ bytes: [UInt8]) -> String {
      bytes.map { String(format: "%02x", $0) }.joined()
    }
    var text = test.isCompatibility ? "32-bit" : "64-bit"
    text += " at \(String(start, radix: 16)): \(hex(bytes))\n"
    for item in test.snippet.items { text += "  \(hex(item.bytes)) \(item.patch)\n" }
    for index in 0..<16 {
      text +=
        SnippetState.registerNames[index] + "="
        + String(test.before.registers[index], radix: 16) + " "
    }
    return text + "flags=\(String(test.before.flags, radix: 16))\n"
  }
}
