import Engine
import Testing
import X86

/// Loops that are one block, of which several turns are emitted behind each other.
struct LoopUnrollingTests {
  /// Runs code at 0x10000 that reads at RSI and counts RCX down, and ends in HLT.
  private func run(
    _ code: [UInt8], count: UInt64, at start: UInt64, mapped: UInt64 = 2
  ) throws -> (processor: Processor, reason: StopReason) {
    let (p, _) = try longModeProcessor(code)
    try p.memory.store(UInt64(0x4000 | 7), at: 0x3000 + 8 * 8)
    for page in 0..<mapped { try p.memory.store(0x30_0000 + page << 16 | 3, at: 0x4000 + 8 * page) }
    for page in UInt64(0)..<2 {
      for offset in stride(from: UInt64(0), to: 0x1000, by: 8) {
        try p.memory.store(page << 12 | offset, at: 0x30_0000 + page << 16 + offset)
      }
    }
    p.cpu.registers[1] = count
    p.cpu.registers[6] = 0x100_0000 + start
    p.cpu.registers[0] = 0
    return (p, p.runGuest())
  }

  /// L: add rax, [rsi]; add rsi, 8; dec rcx; jnz L; hlt
  static let summing: [UInt8] = [
    0x48, 3, 6, 0x48, 0x83, 0xc6, 8, 0x48, 0xff, 0xc9, 0x75, 0xf4, 0xf4,
  ]

  @Test func `a loop runs as often as it says, over a page's end too`() throws {
    for start in [UInt64(0x100), 0xfe0, 0xfe4] {
      for count in UInt64(1)...11 {
        let (p, reason) = try run(Self.summing, count: count, at: start)
        #expect(reason == .halted)
        #expect(p.cpu.instructionPointer == 0x1000d)
        #expect(p.cpu.registers[1] == 0)
        #expect(p.cpu.registers[6] == 0x100_0000 + start + 8 * count)
        if start & 7 == 0 {
          let sum = (0..<count).reduce(0) { $0 + start + 8 * $1 }
          #expect(p.cpu.registers[0] == sum)
        }
      }
    }
  }

  @Test func `a fault in a later turn comes with that turn's state`() throws {
    let (p, reason) = try run(Self.summing, count: 20, at: 0xfe8, mapped: 1)
    #expect(reason == .shutdown)
    #expect(p.cpu.cr2 == 0x100_1000)
    #expect(p.cpu.registers[1] == 17)
    #expect(p.cpu.registers[6] == 0x100_1000)
    #expect(p.cpu.registers[0] == 0xfe8 + 0xff0 + 0xff8)
  }

  @Test func `a branch out of the middle of a turn leaves`() throws {
    // L: cmp [rsi], rdx; je out; add rsi, 8; dec rcx; jnz L; out: hlt
    let code: [UInt8] = [
      0x48, 0x39, 0x16, 0x74, 9, 0x48, 0x83, 0xc6, 8, 0x48, 0xff, 0xc9, 0x75, 0xf2, 0xf4,
    ]
    for turns in UInt64(0)..<9 {
      let (p, _) = try longModeProcessor(code)
      for index in UInt64(0)..<16 { try p.memory.store(index, at: 0x20000 + 8 * index) }
      (p.cpu.registers[1], p.cpu.registers[2], p.cpu.registers[6]) = (16, turns, 0x20000)
      #expect(p.runGuest() == .halted)
      #expect(p.cpu.registers[1] == 16 - turns)
      #expect(p.cpu.registers[6] == 0x20000 + 8 * turns)
    }
  }

  @Test func `a loop that writes over itself runs what it wrote`() throws {
    // L: mov [rdi], dl; add rdi, 1; dec rcx; jnz L; nop…; hlt: it writes 0xf4 over the NOPs' start.
    let code: [UInt8] = [0x88, 0x17, 0x48, 0x83, 0xc7, 1, 0x48, 0xff, 0xc9, 0x75, 0xf5]
    let (p, _) = try longModeProcessor(code + [UInt8](repeating: 0x90, count: 8) + [0xf4])
    (p.cpu.registers[1], p.cpu.registers[2], p.cpu.registers[7]) = (5, 0xf4, 0x1000c)
    #expect(p.runGuest() == .halted)
    #expect(p.cpu.instructionPointer == 0x1000d)
  }
}
