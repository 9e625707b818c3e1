import Engine
import SeededRandom
import Testing

@Suite struct `Opcode tables` {
  @Test func `every row can be encoded and decodes to itself`() {
    var generator = SeededGenerator(seed: 1)
    for number in 1..<OpcodeTables.rows.count {
      let found = CodeSize.allCases.contains {
        RandomInstruction.encode(
          row: number, codeSize: $0, using: &generator, attempts: 2000) != nil
      }
      let row = OpcodeTables.rows[number]
      #expect(found, "row \(number), \(row.name), opcode \(String(row.opcode, radix: 16))")
    }
  }

  @Test func `rows of one opcode agree on whether a ModRM byte follows`() {
    var seen: [String: Bool] = [:]
    for row in OpcodeTables.rows.dropFirst() {
      let key = "\(row.encoding) \(row.map) \(String(row.opcode, radix: 16))"
      #expect(seen[key] ?? row.hasModRM == row.hasModRM, "\(key) \(row.name)")
      seen[key] = row.hasModRM
    }
  }

  @Test func `an operand list has no gaps and one operand in memory at most`() {
    for row in OpcodeTables.rows {
      let operands = (0..<Int(row.operandCount)).map { row.operands[$0] }
      #expect(operands.allSatisfy { $0.kind != .none }, "\(row.name)")
      #expect(operands.filter { $0.place == .modRMMemory }.count <= 1, "\(row.name)")
    }
  }

  @Test func `a missing feature makes its instructions undefined`() {
    let popcnt: [UInt8] = [0xf3, 0x0f, 0xb8, 0xc1]
    #expect(decoded(popcnt).instruction.operation == .plain)
    let without = FeatureSet.all.subtracting(.popcnt)
    #expect(decoded(popcnt, features: without).instruction.operation == .undefined)
    let vpaddd: [UInt8] = [0xc5, 0xfd, 0xfe, 0xc1]
    #expect(decoded(vpaddd, features: [.avx]).instruction.operation == .undefined)
    #expect(decoded(vpaddd, features: [.avx, .avx2]).instruction.unit == .avx)
  }
}

/// Bytes, their text, and where the text differs from 64-bit mode's.
struct Disassembled: CustomTestStringConvertible {
  var bytes: [UInt8]
  var text: String
  var codeSize = CodeSize.bits64
  var testDescription: String { text }
}

@Test(arguments: [
  Disassembled(bytes: [0x48, 0x89, 0x44, 0x24, 0xf8], text: "mov qword [rsp-0x8], rax"),
  Disassembled(
    bytes: [0x64, 0x8b, 0x04, 0x8d, 0x10, 0, 0, 0], text: "mov eax, dword fs:[rcx*4+0x10]"),
  Disassembled(bytes: [0xf0, 0x48, 0x0f, 0xb1, 0x0f], text: "lock cmpxchg qword [rdi], rcx"),
  Disassembled(bytes: [0x74, 0xfe], text: "je 0x1000"),
  Disassembled(bytes: [0xe8, 0xfb, 0x0f, 0, 0], text: "call 0x2000"),
  Disassembled(bytes: [0xf3, 0x48, 0xab], text: "rep stosq"),
  Disassembled(bytes: [0x83, 0xe0, 0xf0], text: "and eax, -0x10"),
  Disassembled(bytes: [0xc1, 0xe8, 0xf0], text: "shr eax, 0xf0"),
  Disassembled(bytes: [0xd3, 0xe0], text: "shl eax, cl"),
  Disassembled(bytes: [0xc5, 0xfd, 0xfe, 0x0a], text: "vpaddd ymm1, ymm0, ymmword [rdx]"),
  Disassembled(bytes: [0xc4, 0xe2, 0xf8, 0xf2, 0xd9], text: "andn rbx, rax, rcx"),
  Disassembled(bytes: [0x66, 0x48, 0x0f, 0x6e, 0xc0], text: "movq xmm0, rax"),
  Disassembled(bytes: [0xde, 0xc1], text: "faddp st1, st0"),
  Disassembled(bytes: [0x48, 0x8d, 0x05, 4, 0, 0, 0], text: "lea rax, [rip+0x4]"),
  Disassembled(bytes: [0x0f, 0x22, 0xd8], text: "mov cr3, rax"),
  Disassembled(bytes: [0xe3, 0], text: "jrcxz 0x1002"),
  Disassembled(bytes: [0x62, 0], text: "(bad)"),
  Disassembled(bytes: [0x8b, 0x42, 0x10], text: "mov ax, word [bp+si+0x10]", codeSize: .bits16),
  Disassembled(bytes: [0xea, 0, 0x7c, 0, 0], text: "jmp far 0x0:0x7c00", codeSize: .bits16),
  Disassembled(bytes: [0xc8, 8, 0, 1], text: "enter 0x8, 0x1"),
])
func `instructions are printed in Intel's syntax`(expected: Disassembled) {
  let (_, instruction) = decoded(expected.bytes, expected.codeSize)
  #expect(Disassembler.text(instruction, at: 0x1000) == expected.text)
}

@Test(arguments: CodeSize.allCases)
func `a part of an instruction needs more bytes, the whole needs none`(codeSize: CodeSize) {
  let seed = SeededGenerator.runSeed()
  var code = RandomCode(generator: SeededGenerator(seed: seed))
  for _ in 0..<20_000 {
    let bytes = code.next(codeSize)
    let (result, whole) = decoded(bytes, codeSize)
    guard result == .decoded else { continue }
    let length = Int(whole.length)
    if whole.operation != .undefined {
      let exact = decoded(Array(bytes.prefix(length)), codeSize)
      #expect(exact.result == .decoded && exact.instruction.row == whole.row, "APUS_SEED=\(seed)")
      #expect(exact.instruction.immediate == whole.immediate, "APUS_SEED=\(seed)")
    }
    for count in 1..<length {
      let part = decoded(Array(bytes.prefix(count)), codeSize)
      // What is no instruction may be known before its end.
      let isEarly = whole.operation == .undefined && part.instruction.operation == .undefined
      #expect(part.result == .needsMoreBytes || isEarly, "\(bytes) \(count) APUS_SEED=\(seed)")
    }
  }
}
