import Engine
import Testing
import X86

/// Accesses that share one check, where the check must not speak for all of them.
struct AccessGroupTests {
  static let pages: UInt64 = 0x100_0000
  static let tables: UInt64 = 0x4000
  static let first: UInt64 = 0x30_0000
  static let second: UInt64 = 0x50_0000
  /// mov rax, [rdi]; mov rdx, [rdi + 8]; mov [rdi + 16], rax; hlt
  static let copying: [UInt8] = [0x48, 0x8b, 7, 0x48, 0x8b, 0x57, 8, 0x48, 0x89, 0x47, 16, 0xf4]

  /// A processor with two pages at ``pages`` that are apart in memory.
  private func processor(
    _ code: [UInt8], firstBits: UInt64 = 3, secondBits: UInt64 = 3
  ) throws -> Processor {
    let (p, _) = try longModeProcessor(code)
    try p.memory.store(Self.tables | 7, at: 0x3000 + 8 * 8)
    try p.memory.store(Self.first | firstBits, at: Self.tables)
    try p.memory.store(Self.second | secondBits, at: Self.tables + 8)
    for offset in stride(from: UInt64(0), to: 0x1000, by: 8) {
      try p.memory.store(0x1111_0000 | offset, at: Self.first + offset)
      try p.memory.store(0x2222_0000 | offset, at: Self.second + offset)
    }
    return p
  }

  private func run(_ p: Processor, at offset: UInt64) -> StopReason {
    p.cpu.instructionPointer = 0x10000
    p.cpu.registers[7] = Self.pages + offset
    return p.runGuest()
  }

  private func isDirty(_ p: Processor, page: UInt64) throws -> Bool {
    try p.memory.load(UInt64.self, at: Self.tables + 8 * page) & 0x40 != 0
  }

  @Test func `a group that a page's end divides reaches both pages, and dirties one`() throws {
    let p = try processor(Self.copying)
    for _ in 0..<3 {
      #expect(run(p, at: 0xff8) == .halted)
      #expect(p.cpu.registers[0] == 0x1111_0ff8)
      #expect(p.cpu.registers[2] == 0x2222_0000)
      #expect(try p.memory.load(UInt64.self, at: Self.second + 8) == 0x1111_0ff8)
      #expect(try !isDirty(p, page: 0))
    }
    #expect(try isDirty(p, page: 1))
    // And the same code where all is in one page, or an operand itself is divided.
    #expect(run(p, at: 0x100) == .halted)
    #expect(p.cpu.registers[2] == 0x1111_0108)
    #expect(run(p, at: 0xffc) == .halted)
    #expect(p.cpu.registers[0] == 0x2222_0000_0000_0000)
  }

  @Test func `a write behind a branch that is taken neither faults nor dirties`() throws {
    // mov rax, [rdi]; test rax, rax; jz over; mov [rdi + 16], rax; over: hlt
    let code: [UInt8] = [0x48, 0x8b, 7, 0x48, 0x85, 0xc0, 0x74, 4, 0x48, 0x89, 0x47, 16, 0xf4]
    for bits in [UInt64(1), 3] {
      let p = try processor(code, firstBits: bits)
      try p.memory.store(UInt64(0), at: Self.first + 0x80)
      for _ in 0..<3 { #expect(run(p, at: 0x80) == .halted) }
      #expect(try !isDirty(p, page: 0))
      #expect(run(p, at: 0x90) == (bits == 1 ? .shutdown : .halted))
      #expect(try isDirty(p, page: 0) == (bits == 3))
      if bits == 1 { #expect(p.cpu.cr2 == Self.pages + 0xa0) }
    }
  }

  @Test func `the member that faults does so after those before it`() throws {
    let p = try processor(Self.copying, secondBits: 0)
    p.cpu.registers[2] = 5
    #expect(run(p, at: 0xff8) == .shutdown)
    #expect(p.cpu.cr2 == Self.pages + 0x1000)
    #expect(p.cpu.registers[0] == 0x1111_0ff8)
    #expect(p.cpu.registers[2] == 5)
  }

  @Test func `pushes and pops go over a page's end`() throws {
    // push rax; push rbx; pop rcx; pop rdx; hlt
    let p = try processor([0x50, 0x53, 0x59, 0x5a, 0xf4])
    for top in [UInt64(0x1004), 0x1008, 0x800, 0x1000] {
      p.cpu.registers[4] = Self.pages + top
      (p.cpu.registers[0], p.cpu.registers[3]) = (top, 77)
      #expect(run(p, at: 0) == .halted)
      #expect(p.cpu.registers[1] == 77)
      #expect(p.cpu.registers[2] == top)
      #expect(p.cpu.registers[4] == Self.pages + top)
    }
    #expect(try p.memory.load(UInt64.self, at: Self.second) == 0x1008)
    #expect(try p.memory.load(UInt64.self, at: Self.first + 0xff8) == 0x1000)
  }

  @Test func `a group follows its base through sums, and ends where it is loaded`() throws {
    // mov rax, [rdi]; add rdi, 16; mov rdx, [rdi - 8]; mov rdi, [rdi]; mov rbx, [rdi]; hlt
    let code: [UInt8] = [
      0x48, 0x8b, 7, 0x48, 0x83, 0xc7, 16, 0x48, 0x8b, 0x57, 0xf8, 0x48, 0x8b, 0x3f, 0x48, 0x8b,
      0x1f, 0xf4,
    ]
    let p = try processor(code)
    for offset in [UInt64(0xff0), 0xfe8, 0x40] {
      let pointer = offset + 16 < 0x1000 ? Self.first + offset + 16 : Self.second
      try p.memory.store(Self.pages + 0x1200, at: pointer)
      #expect(run(p, at: offset) == .halted)
      #expect(p.cpu.registers[0] == 0x1111_0000 | offset)
      #expect(p.cpu.registers[2] == 0x1111_0000 | (offset + 8))
      #expect(p.cpu.registers[3] == 0x2222_0200)
    }
  }

  @Test func `a group's write to code is seen`() throws {
    // mov eax, [rdi]; mov [rdi + 1], dl; jmp rdi
    let (p, _) = try longModeProcessor([0x8b, 7, 0x88, 0x57, 1, 0xff, 0xe7])
    try p.memory.write([0xb0, 1, 0xf4], at: 0x10040)  // mov al, 1; hlt
    for value in [UInt64(7), 9] {
      p.cpu.instructionPointer = 0x10040
      #expect(p.runGuest() == .halted)
      p.cpu.instructionPointer = 0x10000
      (p.cpu.registers[2], p.cpu.registers[7]) = (value, 0x10040)
      #expect(p.runGuest() == .halted)
      #expect(p.cpu.registers[0] & 0xff == value)
    }
  }
}
