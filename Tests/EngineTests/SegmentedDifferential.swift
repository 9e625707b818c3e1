import CNative
import Engine
import SeededRandom
import X86

/// Runs segmented cases natively and in the engine, and compares.
struct SegmentedDifferential {
  static let table: UInt64 = 0xc000
  private let runner: DifferentialRunner
  private(set) var instructions = 0
  private(set) var faults = 0
  private(set) var skipped = 0

  init() throws { runner = try DifferentialRunner(poolSeed: 7) }

  /// A report of each of the cases that differ, a few at most.
  mutating func run(from first: UInt64, count: Int, limit: Int) throws -> [String] {
    var failures: [String] = []
    var next = first
    while next < first + UInt64(count), failures.count < limit {
      let batch = (0..<UInt64(min(Int(NATIVE_BATCH), count))).map { SegmentedCase(seed: next + $0) }
      next += UInt64(batch.count)
      for (index, test) in batch.enumerated() { test.write(to: runner.native(index)) }
      runner.runNative(batch.count)
      for (index, test) in batch.enumerated() {
        let found = try compare(test, runner.native(index))
        if !found.isEmpty {
          failures.append(test.description + "  " + found.joined(separator: "\n  "))
        }
      }
    }
    return failures
  }

  /// Whether the case has loaded a segment of the host's global table that the guest has not.
  private func holdsForeignSelector(_ reference: UnsafeMutablePointer<native_case>) -> Bool {
    withUnsafeBytes(of: reference.pointee.selectors) { bytes in
      (0..<6).contains {
        let selector = bytes.load(fromByteOffset: $0 * 2, as: UInt16.self)
        return selector & 4 == 0 && selector >= 0x38
      }
    }
  }

  private mutating func compare(
    _ test: SegmentedCase, _ reference: UnsafeMutablePointer<native_case>
  ) throws -> [String] {
    guard reference.pointee.after.trap != UInt64(NATIVE_LOST) else {
      skipped += 1
      return []
    }
    instructions += test.count
    let end = reference.pointee.after.rip
    if test.variant == .stepping && end > UInt64(test.codeSegment.limit) {
      skipped += 1  // IRET from the debug exception faults, before the code can
      return []
    }
    if holdsForeignSelector(reference) {
      skipped += 1
      return []
    }
    let host = SnippetState(reference.pointee.after)
    if host.vector != 3 { faults += 1 }
    return differences(host, try runner.runSegmented(test, reference), reference)
  }

  private func differences(
    _ host: SnippetState, _ engine: SnippetState, _ reference: UnsafeMutablePointer<native_case>
  ) -> [String] {
    var found: [String] = []
    func note(_ name: String, _ host: UInt64, _ engine: UInt64) {
      if host != engine {
        found.append(
          "\(name): host \(String(host, radix: 16)), engine \(String(engine, radix: 16))")
      }
    }
    for index in 0..<8 {
      note(
        SnippetState.registerNames[index], host.registers[index] & 0xffff_ffff,
        engine.registers[index] & 0xffff_ffff)
    }
    note("vector", host.vector, engine.vector)
    note("rip", host.instructionPointer, engine.instructionPointer)
    let ended = host.vector == 3 && engine.vector == 3
    let mask = ended ? SnippetState.arithmeticFlags | SnippetState.directionFlag : 0x400
    note("flags", host.flags & mask, engine.flags & mask)
    if !ended { note("error code", host.errorCode & ~1, engine.errorCode & ~1) }
    withUnsafeBytes(of: reference.pointee.selectors) { bytes in
      for (index, name) in [SegmentName.es, .cs, .ss, .ds, .fs, .gs].enumerated() {
        let selector = bytes.load(fromByteOffset: index * 2, as: UInt16.self)
        // The host's kernel returns to the handler with IRET, which makes null selectors 0.
        let engine = runner.selectorsAtEnd[index]
        note("\(name)", UInt64(selector), UInt64(engine < 4 ? 0 : engine))
      }
    }
    return found + runner.memoryDifferences(reference)
  }
}
