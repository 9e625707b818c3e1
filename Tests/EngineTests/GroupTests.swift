import Engine
import GuestMemory
import Host
import Testing
import X86

private enum Register {
  static let (rcx, rdx, rsi, rdi, r8, r9) = (1, 2, 6, 7, 8, 9)
}

/// Programs of several processors, in 64-bit code.
private enum Program {
  /// L: lock inc dword [rdi]; dec ecx; jnz L; hlt
  static let increment: [UInt8] = [
    0xf0, 0xff, 0x07, 0xff, 0xc9, 0x0f, 0x85, 0xf5, 0xff, 0xff, 0xff, 0xf4,
  ]
  /// A lock at [rdi], taken with XCHG and a loop over PAUSE, around inc dword [rsi]; ECX times.
  static let locking: [UInt8] = [
    0xb8, 0x01, 0x00, 0x00, 0x00, 0x87, 0x07, 0x85, 0xc0, 0x0f, 0x84, 0x07, 0x00, 0x00, 0x00, 0xf3,
    0x90, 0xe9, 0xef, 0xff, 0xff, 0xff, 0xff, 0x06, 0xc7, 0x07, 0x00, 0x00, 0x00, 0x00, 0xff, 0xc9,
    0x0f, 0x85, 0xda, 0xff, 0xff, 0xff, 0xf4,
  ]
  /// For EAX from 1 to ECX: mov [rdi], eax; mov [rsi], eax
  static let send: [UInt8] = [
    0x31, 0xc0, 0xff, 0xc0, 0x89, 0x07, 0x89, 0x06, 0xff, 0xc9, 0x0f, 0x85, 0xf2, 0xff, 0xff, 0xff,
    0xf4,
  ]
  /// mov ebx, [rsi]; mov eax, [rdi]; R9 = 1 if EAX < EBX; until EBX is R8
  static let receive: [UInt8] = [
    0x8b, 0x1e, 0x8b, 0x07, 0x39, 0xd8, 0x0f, 0x82, 0x0a, 0x00, 0x00, 0x00, 0x44, 0x39, 0xc3, 0x0f,
    0x85, 0xeb, 0xff, 0xff, 0xff, 0xf4, 0x41, 0xb9, 0x01, 0x00, 0x00, 0x00, 0xf4,
  ]
  /// For RCX down to 1: mov dword [rdi + rcx * 4], 1; mfence; mov eax, [rsi + rcx * 4];
  /// mov [rdx + rcx * 4], eax
  static let storeThenLoad: [UInt8] = [
    0xc7, 0x04, 0x8f, 0x01, 0x00, 0x00, 0x00, 0x0f, 0xae, 0xf0, 0x8b, 0x04, 0x8e, 0x89, 0x04, 0x8a,
    0x48, 0xff, 0xc9, 0x0f, 0x85, 0xe7, 0xff, 0xff, 0xff, 0xf4,
  ]
  /// mov eax, 0; ret
  static let function: [UInt8] = [0xb8, 0, 0, 0, 0, 0xc3]
  /// For EAX from 1 to ECX: makes it what the function at RDI returns, then mov [rsi], eax
  static let rewrite: [UInt8] = [
    0x31, 0xc0, 0xff, 0xc0, 0x89, 0x47, 0x01, 0x89, 0x06, 0xff, 0xc9, 0x0f, 0x85, 0xf1, 0xff, 0xff,
    0xff, 0xf4,
  ]
  /// mov ebx, [rsi]; call rdi; R9 = 1 if EAX < EBX; until EBX is R8
  static let call: [UInt8] = [
    0x8b, 0x1e, 0xff, 0xd7, 0x39, 0xd8, 0x0f, 0x82, 0x0a, 0x00, 0x00, 0x00, 0x44, 0x39, 0xc3, 0x0f,
    0x85, 0xeb, 0xff, 0xff, 0xff, 0xf4, 0x41, 0xb9, 0x01, 0x00, 0x00, 0x00, 0xf4,
  ]
  /// mov dword [rdi + 4], 1; L: pushfq; popfq; cmp dword [rdi], 0; jz L; hlt
  static let wait: [UInt8] = [
    0xc7, 0x47, 0x04, 0x01, 0x00, 0x00, 0x00, 0x9c, 0x9d, 0x83, 0x3f, 0x00, 0x74, 0xf9, 0xf4,
  ]
  /// For ECX down to 1: writes mov eax, ECX; ret to [rdi] and calls it; R9 = 1 if EAX is not ECX
  static let compile: [UInt8] = [
    0xc6, 0x07, 0xb8, 0x89, 0x4f, 0x01, 0xc6, 0x47, 0x05, 0xc3, 0xff, 0xd7, 0x39, 0xc8, 0x0f, 0x85,
    0x09, 0x00, 0x00, 0x00, 0xff, 0xc9, 0x0f, 0x85, 0xe4, 0xff, 0xff, 0xff, 0xf4, 0x41, 0xb9, 0x01,
    0x00, 0x00, 0x00, 0xf4,
  ]
}

@Suite(.timeLimit(.minutes(5))) struct GroupTests {
  private static func place(_ index: Int) -> UInt64 { 0x1_0000 + UInt64(index) * 0x1000 }

  /// The same program on some processors, which must all halt without complaint in R9.
  private func run(
    _ team: ProcessorTeam, _ code: [UInt8], count: Int, _ registers: [Int: UInt64]
  ) throws {
    let ends = try team.run(
      (0..<count).map { GuestThread(code, at: Self.place($0), registers) })
    for end in ends { #expect(end.count == 16 && end[Register.r9] == 0) }
  }

  @Test(arguments: [0x20_0000, 0x20_0ffe] as [UInt64])
  func `locked increments lose nothing, within a page and across two`(counter: UInt64) throws {
    let team = try ProcessorTeam()
    let turns: UInt64 = counter & 0xfff == 0 ? 200_000 : 2000
    try run(team, Program.increment, count: 4, [Register.rcx: turns, Register.rdi: counter])
    #expect(try team.memory.load(UInt32.self, at: counter) == UInt32(4 * turns))
  }

  @Test func `locked increments lose nothing in a page that holds code`() throws {
    let team = try ProcessorTeam()
    let counter = Self.place(0) + 0x800
    try run(team, Program.increment, count: 4, [Register.rcx: 3000, Register.rdi: counter])
    #expect(try team.memory.load(UInt32.self, at: counter) == 12000)
  }

  @Test func `a spin lock keeps others out, and its holder gets to run`() throws {
    let team = try ProcessorTeam()
    try run(
      team, Program.locking, count: 4,
      [Register.rcx: 20000, Register.rdi: 0x20_0000, Register.rsi: 0x20_0040])
    #expect(try team.memory.load(UInt32.self, at: 0x20_0040) == 80000)
  }

  @Test func `stores are seen in the order in which they were made`() throws {
    let team = try ProcessorTeam()
    let last: UInt64 = 2_000_000
    let shared: [Int: UInt64] = [
      Register.rcx: last, Register.r8: last, Register.rdi: 0x20_0000, Register.rsi: 0x30_0000,
    ]
    let ends = try team.run([
      GuestThread(Program.send, at: Self.place(0), shared),
      GuestThread(Program.receive, at: Self.place(1), shared),
    ])
    #expect(ends.allSatisfy { $0.count == 16 && $0[Register.r9] == 0 })
  }

  @Test func `of two that store and then look, one sees the other's`() throws {
    let team = try ProcessorTeam()
    let count: UInt64 = 100_000
    let (a, b): (UInt64, UInt64) = (0x20_0000, 0x30_0000)
    let ends = try team.run([
      GuestThread(
        Program.storeThenLoad, at: Self.place(0),
        [Register.rcx: count, Register.rdi: a, Register.rsi: b, Register.rdx: 0x40_0000]),
      GuestThread(
        Program.storeThenLoad, at: Self.place(1),
        [Register.rcx: count, Register.rdi: b, Register.rsi: a, Register.rdx: 0x50_0000]),
    ])
    #expect(ends.allSatisfy { $0.count == 16 })
    for index in 1...count {
      let left = try team.memory.load(UInt32.self, at: 0x40_0000 + index * 4)
      let right = try team.memory.load(UInt32.self, at: 0x50_0000 + index * 4)
      #expect(left | right == 1)
    }
  }

  @Test func `processors that look for requests all the time stand still each time`() throws {
    let team = try ProcessorTeam()
    let outside = try HostThread(named: "outside") {
      while (try? team.memory.load(UInt32.self, at: 0x20_0004)) != 1 {}
      for _ in 0..<20_000 { team.group.flushTranslations() }
      try? team.memory.store(UInt32(1), at: 0x20_0000)
    }
    try run(team, Program.wait, count: 2, [Register.rdi: 0x20_0000])
    outside.join()
  }

  @Test func `a function changed by one processor is the new one for all others`() throws {
    let team = try ProcessorTeam()
    let last: UInt64 = 3000
    let function: UInt64 = 0x20_0803
    try team.memory.write(Program.function, at: function)
    let shared: [Int: UInt64] = [
      Register.rcx: last, Register.r8: last, Register.rdi: function, Register.rsi: 0x30_0000,
    ]
    let ends = try team.run([
      GuestThread(Program.rewrite, at: Self.place(0), shared),
      GuestThread(Program.call, at: Self.place(1), shared),
      GuestThread(Program.call, at: Self.place(2), shared),
    ])
    #expect(ends.allSatisfy { $0.count == 16 && $0[Register.r9] == 0 })
  }

  @Test func `programs that compile in the same page do not disturb each other`() throws {
    let team = try ProcessorTeam()
    let ends = try team.run(
      (0..<4).map { index in
        GuestThread(
          Program.compile, at: Self.place(index),
          [Register.rcx: 2000, Register.rdi: 0x20_0000 + UInt64(index) * 16])
      })
    #expect(ends.allSatisfy { $0.count == 16 && $0[Register.r9] == 0 })
  }

  @Test func `a full code cache drops the processor's own blocks alone`() throws {
    let team = try ProcessorTeam()
    let ends = try team.run(
      (0..<2).map { index in
        GuestThread(
          Program.compile, at: Self.place(index),
          [Register.rcx: 4000, Register.rdi: 0x20_0000 + UInt64(index) * 0x1000])
      }, prepare: { $0.codeCapacity = 256 << 10 })
    #expect(ends.allSatisfy { $0.count == 16 && $0[Register.r9] == 0 })
  }

  @Test func `processors come and go while others run`() throws {
    let team = try ProcessorTeam()
    for round in 0..<20 {
      try run(
        team, Program.increment, count: 3,
        [Register.rcx: 50, Register.rdi: 0x20_0ffe])
      #expect(try team.memory.load(UInt32.self, at: 0x20_0ffe) == UInt32((round + 1) * 150))
    }
  }

  @Test func `a chain of mismatched returns can be interrupted`() throws {
    // L: push rax; ret, with L in RAX: a loop without a jump.
    let team = try ProcessorTeam()
    let bells = Monitor<AttentionFlag?>(nil)
    let stopper = try HostThread(named: "stopper") {
      guard let bell = bells.wait(for: { $0 }) else { return }
      for _ in 0..<50 {
        _ = bells.wait(until: HostClock.nanoseconds + 2_000_000) { _ -> Void? in nil }
        bell.ring()
      }
    }
    let start = Self.place(0)
    let processor = try team.makeProcessor()
    let environment = try #require(processor.environment as? BareEnvironment)
    environment.wantsToStop = true
    try team.memory.write([0x50, 0xc3], at: start)
    processor.cpu.registers[0] = start
    processor.cpu.registers[4] = 0x80_0000
    processor.cpu.instructionPointer = start
    bells.change { $0 = processor.doorbell }
    #expect(processor.runGuest() == .interrupted)
    stopper.join()
  }
}
