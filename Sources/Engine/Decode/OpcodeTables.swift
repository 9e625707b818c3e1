/// Every instruction that the engine knows, with its VEX twins, grouped by opcode.
package enum OpcodeTables {
  /// Row 0 stands for whatever is no instruction; ``Instruction/row`` is an index into this.
  package static let rows: [OpcodeRow] =
    [row(0, "(bad)").does(.undefined)] + grouped(sources.flatMap { expanded($0) })

  private static let sources: [[OpcodeRow]] = [
    OneByteRows.all, X87Rows.all,
    placed(TwoByteRows.all + SystemRows.all, in: .twoByte),
    placed(PackedIntegerRows.all + FloatingRows.all, in: .twoByte),
    placed(TwoByteRows.extended38 + ThreeByteRows.map38 + VEXRows.map38, in: .threeByte38),
    placed(ThreeByteRows.map3A + VEXRows.map3A, in: .threeByte3A),
  ]

  private static func placed(_ rows: [OpcodeRow], in map: OpcodeMap) -> [OpcodeRow] {
    rows.map { row in row.with { $0.map = map } }
  }

  /// Adds the VEX twins of the rows that have one.
  private static func expanded(_ rows: [OpcodeRow]) -> [OpcodeRow] {
    rows.flatMap { row in row.twin == .none ? [row] : [row.with { $0.twin = .none }, row.vexTwin] }
  }

  /// One run of rows per opcode, in the order in which they were written: the first that applies
  /// is taken. A row of several opcodes becomes several where others share one of them.
  private static func grouped(_ rows: [OpcodeRow]) -> [OpcodeRow] {
    var buckets: [[OpcodeRow]] = Array(repeating: [], count: 2 * 4 * 256)
    for row in rows {
      for offset in 0..<row.opcodeCount {
        let copy = row.with {
          $0.opcode += offset
          $0.opcodeCount = 1
        }
        buckets[DecodeTables.headIndex(row.encoding, row.map, copy.opcode)].append(copy)
      }
    }
    return buckets.flatMap { $0 }
  }
}

extension OpcodeRow {
  var usesVEXRegister: Bool {
    (0..<Int(operandCount)).contains { operands[$0].place == .vexRegister }
  }

  /// Which part of the processor the row needs; see ``ExecutionUnit``.
  package var unit: ExecutionUnit {
    if encoding == .vex {
      return name.isVectorState || hasOperand(.vector) ? .avx : .integer
    }
    if map == .oneByte, opcode & 0xf8 == 0xd8 || opcode == 0x9b { return .x87 }
    if hasOperand(.mmx) { return hasOperand(.vector) ? .sse : .mmx }
    if name.isVectorState { return name.isSSEState ? .sse : .mmx }
    return hasOperand(.vector) ? .sse : .integer
  }

  private func hasOperand(_ kind: OperandKind) -> Bool {
    (0..<Int(operandCount)).contains { operands[$0].kind == kind }
  }

  /// The VEX form of an SSE row.
  fileprivate var vexTwin: OpcodeRow {
    var row = self
    row.encoding = .vex
    row.sizing = .ignores66
    row.twin = .none
    let replaced: FeatureSet = [.always, .sse3, .ssse3, .sse41, .sse42]
    row.feature = feature.subtracting(replaced).union(.avx)
    guard twin != .same else { return row }
    row.operands[0] = operands[0].w
    row.operands[1] = .hx
    row.operands[2] = operands[1]
    row.operands[3] = operands[2]
    row.operandCount = operandCount + 1
    return row
  }
}

extension StaticString {
  /// EMMS, VZEROUPPER and the control register's loads: vector state without a vector operand.
  fileprivate var isVectorState: Bool {
    switch description {
    case "emms", "zeroupper", "zeroall", "ldmxcsr", "stmxcsr": true
    default: false
    }
  }
  fileprivate var isSSEState: Bool { description.hasSuffix("mxcsr") }
}
