import Foundation
import Testing

/// Random instructions, natively and in the engine.
///
/// `APUS_SEED` repeats the case of one seed; `APUS_START` and `APUS_CASES` set which are run.
@Suite(.serialized) struct DifferentialTests {
  @Test func `random instructions do in the guest what they do on the host`() throws {
    let failures =
      if let seed = environmentNumber("APUS_SEED") {
        try Differential.repeatCase(seed: seed)
      } else {
        try Differential.run(
          from: environmentNumber("APUS_START") ?? 1,
          count: Int(environmentNumber("APUS_CASES") ?? 120_000))
      }
    for failure in failures { Issue.record(Comment(rawValue: failure)) }
  }
}

/// Random 16- and 32-bit code in segments with limits and types, natively and in the engine.
@Suite(.serialized) struct SegmentedTests {
  @Test func `random instructions in segments do in the guest what they do on the host`() throws {
    var differential = try SegmentedDifferential()
    let seed = environmentNumber("APUS_SEED")
    let first = seed ?? environmentNumber("APUS_START") ?? 1
    let count = seed == nil ? Int(environmentNumber("APUS_CASES") ?? 60_000) : 1
    let failures = try differential.run(from: first, count: count, limit: 5)
    for failure in failures { Issue.record(Comment(rawValue: failure)) }
    print(
      "segments: \(differential.instructions) instructions, \(differential.faults) faults, "
        + "\(differential.skipped) skipped")
  }
}
