import CZydis
import Engine
import Foundation
import SeededRandom
import Testing

/// Compares our decoder with Zydis and gathers the differences, an example of each kind.
struct DecodeComparison {
  let codeSize: CodeSize
  private var zydis: Zydis
  private var counts: [String: Int] = [:]
  private var examples: [String: String] = [:]
  /// Instructions that both know and describe alike.
  private(set) var agreed = 0

  init(_ codeSize: CodeSize) {
    self.codeSize = codeSize
    zydis = Zydis(codeSize)
  }

  var report: String {
    counts.sorted { $0.value > $1.value }.prefix(40)
      .map { "\($0.value) x \($0.key): \(examples[$0.key] ?? "")" }.joined(separator: "\n")
  }

  /// Compares what both decoders make of the start of `bytes`; returns the length by ours.
  mutating func compare(_ bytes: ArraySlice<UInt8>) -> Int {
    var instruction = Instruction()
    let result = decode(
      bytes.span.bytes, codeSize: codeSize, features: .all, into: &instruction)
    let implied = result == .decoded && instruction.listsImpliedRegisters
    var theirs = bytes.withUnsafeBytes { zydis.decode($0, implied: implied) }
    guard result == .decoded else {
      if theirs.valid { note("\(result) \(zydis.mnemonic)", bytes, "") }
      return bytes.count
    }
    var ours = instruction.facts
    if ours != theirs { DecodeExceptions.reconcile(&ours, &theirs, instruction) }
    if ours != theirs {
      explain(instruction, ours, theirs, bytes)
    } else if ours.valid {
      agreed += 1
    }
    return max(1, Int(instruction.length))
  }

  private mutating func note(_ kind: String, _ bytes: ArraySlice<UInt8>, _ detail: String) {
    counts[kind, default: 0] += 1
    guard examples[kind] == nil else { return }
    let text = bytes.prefix(15).map { String(format: "%02x", $0) }.joined(separator: " ")
    examples[kind] = "\(text)  \(detail)"
  }

  private mutating func explain(
    _ instruction: Instruction, _ ours: DecodeFacts, _ theirs: DecodeFacts,
    _ bytes: ArraySlice<UInt8>
  ) {
    let row = OpcodeTables.rows[Int(instruction.row)]
    let names = "\(Disassembler.name(of: instruction, row))/\(zydis.mnemonic)"
    guard ours.valid else {
      // UD0, UD1 and UD2 are rows of ours too.
      let isKnown = instruction.row != 0 || DecodeExceptions.mayBeUndefined(instruction, zydis)
      if !isKnown { note("missing \(zydis.mnemonic) \(zydis.extensionName)", bytes, "") }
      return
    }
    guard theirs.valid else { return note("extra \(names)", bytes, "") }
    // XCHG with R8: Zydis calls F3 41 90 PAUSE, processors exchange.
    if instruction.map == .oneByte, instruction.opcode == 0x90 { return }
    if ours.length != theirs.length {
      note("length \(names)", bytes, "\(ours.length) \(theirs.length)")
    }
    if ours.registers != theirs.registers {
      note("registers \(names)", bytes, "\(ours.registers) \(theirs.registers)")
    }
    if ours.memory != theirs.memory {
      note("memory \(names)", bytes, "\(ours.memory as Any)\n  \(theirs.memory as Any)")
    }
    if ours.immediate != theirs.immediate || ours.secondImmediate != theirs.secondImmediate {
      note(
        "immediate \(names)", bytes,
        "\(ours.immediate) \(ours.secondImmediate) \(theirs.immediate) \(theirs.secondImmediate)")
    }
    if ours.operandSize != theirs.operandSize || ours.addressSize != theirs.addressSize {
      note(
        "sizes \(names)", bytes,
        "\(ours.operandSize) \(ours.addressSize) \(theirs.operandSize) \(theirs.addressSize)")
    }
    if ours.read != theirs.read { note("reads \(names)", bytes, "\(ours.read) \(theirs.read)") }
    if ours.written != theirs.written {
      note("writes \(names)", bytes, "\(ours.written) \(theirs.written)")
    }
  }
}

@Suite struct `Decoder beside Zydis` {
  @Test(arguments: CodeSize.allCases)
  func `random code means the same`(codeSize: CodeSize) {
    let seed = SeededGenerator.runSeed()
    var code = RandomCode(generator: SeededGenerator(seed: seed))
    var comparison = DecodeComparison(codeSize)
    for _ in 0..<1_000_000 { _ = comparison.compare(code.next(codeSize)[...]) }
    #expect(comparison.report == "", "APUS_SEED=\(seed)")
    #expect(comparison.agreed > 400_000, "too little of the random code is valid")
  }

  @Test(arguments: CodeSize.allCases)
  func `the code of this process means the same`(codeSize: CodeSize) throws {
    var comparison = DecodeComparison(codeSize)
    for code in try loadedCode(limit: 3 << 20) {
      var rest = code[...]
      while rest.count > 15 { rest = rest.dropFirst(comparison.compare(rest)) }
    }
    #expect(comparison.report == "")
    #expect(comparison.agreed > 100_000)
  }

  /// The code of every file that is mapped executable in this process, `limit` bytes of each.
  private func loadedCode(limit: Int) throws -> [[UInt8]] {
    let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
    return try maps.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count == 6, fields[1].hasPrefix("r-x"), fields[5].hasPrefix("/") else {
        return nil
      }
      let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: String(fields[5])))
      try file.seek(toOffset: UInt64(fields[2], radix: 16) ?? 0)
      return [UInt8](try file.read(upToCount: limit) ?? Data())
    }
  }
}
