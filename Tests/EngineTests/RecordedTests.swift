import Foundation
import Testing

/// What a real processor did in real mode, instruction by instruction.
@Suite(.serialized) struct RecordedTests {
  @Test func `real mode does what was recorded from a processor`() throws {
    guard let folder = RecordedData.folder else {
      print("Skipped: no recorded real-mode cases in APUS_SHARED_DATA or ../shared/data.")
      return
    }
    let masks = try RecordedData.definedFlags(in: folder)
    let runner = try RecordedRunner()
    var (count, skipped) = (0, 0)
    for form in try RecordedData.forms(in: folder) {
      for test in try RecordedData.cases(of: form, in: folder) {
        let known = RecordedDifferences(test, form: form)
        count += 1
        if known.isSkipped {
          skipped += 1
          continue
        }
        let found = try runner.run(test, defined: masks[form] ?? .max, known)
        #expect(found == [], "\(form) \(test.name), bytes \(test.bytes)")
      }
    }
    #expect(count >= 26_000 && skipped < 20)
    print("\(count) recorded cases, of which \(skipped) say nothing of later processors")
  }
}
