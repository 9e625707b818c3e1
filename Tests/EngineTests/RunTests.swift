import Engine
import GuestMemory
import Testing
import X86

final class BareEnvironment: ProcessorEnvironment {
  var wantsToStop = false
  var output: [UInt8] = []
  func readPort(_ port: UInt16, size: Int) -> UInt32 { 0xffff_ffff }
  func writePort(_ port: UInt16, value: UInt32, size: Int) { output.append(UInt8(value & 0xff)) }
  func readMemory(_ address: UInt64, size: Int) -> UInt64 { .max }
  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {}
  func readModelSpecific(_ number: UInt32) -> UInt64? { nil }
  func writeModelSpecific(_ number: UInt32, value: UInt64) -> Bool { false }
  func identify(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    CPUIDResult(eax: 0, ebx: 0, ecx: 0, edx: 0)
  }
  var taskPriority: UInt8 = 0
  func acknowledgeInterrupt() -> UInt8? { nil }
}

func longModeProcessor(_ code: [UInt8]) throws -> (Processor, BareEnvironment) {
  let memory = try GuestMemory(size: 16 << 20)
  let environment = BareEnvironment()
  let p = try Processor(memory: memory, environment: environment, features: .init(rawValue: .max))
  try memory.mapStart()
  try memory.write(code, at: 0x10000)
  p.enterLongMode()
  p.cpu.instructionPointer = 0x10000
  p.cpu.registers[4] = 0x80000
  return (p, environment)
}

@Test func `a loop with calls and memory runs to its halt`() throws {
  // mov ecx, 1000; xor eax, eax; L: call F; dec ecx; jnz L; hlt; F: add rax, rcx; push rax; pop r10; mov [0x20000], r10; ret
  let code: [UInt8] = [
    0xb9, 0xe8, 0x03, 0, 0, 0x31, 0xc0, 0xe8, 0x05, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xf4,
    0x48, 0x01, 0xc8, 0x50, 0x41, 0x5a, 0x4c, 0x89, 0x14, 0x25, 0, 0, 2, 0, 0xc3,
  ]
  let (p, _) = try longModeProcessor(code)
  let reason = p.runGuest()
  #expect(reason == .halted)
  #expect(p.cpu.registers[0] == 500_500)
  #expect(p.cpu.registers[10] == 500_500)
  #expect(try p.memory.load(UInt64.self, at: 0x20000) == 500_500)
  #expect(p.cpu.registers[4] == 0x80000)
}

/// A guest that copies with `code` (RSI, RDI and RCX given), and what memory holds afterwards.
private func afterString(
  _ code: [UInt8], source: UInt64, destination: UInt64, count: UInt64
) throws -> (processor: Processor, bytes: [UInt8], before: [UInt8]) {
  let (p, _) = try longModeProcessor(code + [0xf4])
  let before = (0..<0x4000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 5) }
  try p.memory.write(before, at: 0x40000)
  p.cpu.registers[6] = source
  p.cpu.registers[7] = destination
  p.cpu.registers[1] = count
  p.cpu.registers[0] = 0x1122_3344_5566_7788
  p.cpu.flags = [.carry, .overflow, .fixed]
  #expect(p.runGuest() == .halted)
  #expect(p.cpu.flags.contains([.carry, .overflow]))
  #expect(p.cpu.registers[1] == 0)
  return (p, try p.memory.bytes(at: 0x40000, count: 0x4000), before)
}

@Test(
  "REP MOVSB copies byte by byte, over page ends and onto itself",
  arguments: [
    (0x100, 0x2100, 300), (0xff0, 0x1ff8, 0x1010), (0x100, 0x101, 0x1500), (0, 0x2000, 0),
  ]
) func copies(_ source: Int, _ destination: Int, _ count: Int) throws {
  let (p, bytes, before) = try afterString(
    [0xf3, 0xa4], source: UInt64(0x40000 + source), destination: UInt64(0x40000 + destination),
    count: UInt64(count))
  var expected = before
  for index in 0..<count { expected[destination + index] = expected[source + index] }
  #expect(bytes == expected)
  #expect(p.cpu.registers[6] == UInt64(0x40000 + source + count))
  #expect(p.cpu.registers[7] == UInt64(0x40000 + destination + count))
}

@Test(
  "REP STOSQ fills, also where a quadword straddles pages",
  arguments: [(0x100, 30), (0xffc, 700), (0xff8, 1), (0x1000, 512)]
) func fills(_ destination: Int, _ count: Int) throws {
  let (p, bytes, before) = try afterString(
    [0xf3, 0x48, 0xab], source: 0, destination: UInt64(0x40000 + destination),
    count: UInt64(count))
  var expected = before
  for index in 0..<count * 8 {
    expected[destination + index] = [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11][index % 8]
  }
  #expect(bytes == expected)
  #expect(p.cpu.registers[7] == UInt64(0x40000 + destination + count * 8))
}

/// Where the second of two pages lies, that follows 0x10000: next to it, or where the translator finds
/// its blocks by the same hash. And how changes are noticed: somebody tells, or they are looked for.
@Test(arguments: [0x11000, 0x1001_0000], [true, false])
func `a loop over an instruction in two pages runs, and sees each of them change`(
  second: UInt64, isTold: Bool
) throws {
  let memory = try GuestMemory(size: 258 << 20)
  let p = try Processor(
    memory: memory, environment: BareEnvironment(), features: .init(rawValue: .max))
  try memory.mapStart()
  try memory.store(UInt64(0x4000 | 7), at: 0x3008)
  try memory.store(UInt64(0x10000 | 7), at: 0x4000)
  try memory.store(second | 7, at: 0x4008)
  p.enterLongMode()
  // mov rbx, cr3; mov cr3, rbx; L: inc ecx; nop; add eax, 1 | whose last three bytes are in the
  // second page; cmp ecx, edx; jne L; hlt.
  try memory.write(
    [0x0f, 0x20, 0xdb, 0x0f, 0x22, 0xdb, 0xff, 0xc1, 0x90, 0x81, 0xc0, 1], at: 0x10ff4)
  try memory.write([0, 0, 0, 0x39, 0xd1, 0x75, 0xf3, 0xf4], at: second)
  func run(_ turns: UInt64) -> UInt64 {
    p.cpu.instructionPointer = 0x200ff4
    (p.cpu.registers[0], p.cpu.registers[1], p.cpu.registers[2]) = (0, 0, turns)
    #expect(p.runGuest() == .halted)
    return p.cpu.registers[0]
  }
  func change(_ bytes: [UInt8], at address: UInt64) throws {
    try memory.write(bytes, at: address)
    if isTold {
      p.group.memoryChanged(at: address, count: bytes.count)
    } else {
      p.suspended {}
    }
  }
  #expect(run(1000) == 1000)
  try change([1], at: second)
  #expect(run(3) == 3 + 3 * 256)
  try change([2], at: 0x10fff)
  #expect(run(3) == 6 + 3 * 256)
  // What is in one page only: add ecx, 3 for inc ecx; nop for jne.
  try change([0x83, 0xc1, 0x03], at: 0x10ffa)
  #expect(run(3) == 2 + 256)
  try change([0x90, 0x90], at: second + 5)
  #expect(run(9) == 2 + 256)
  try change([3], at: second)
  #expect(run(9) == 2 + 3 * 256)
}

@Test func `RDTSCP, PUSHF and MOV from a segment read what is there`() throws {
  // rdtscp; mov ebx, ecx; stc; pushf; pop rsi; mov edi, ss; mov r10w, cs; cld; hlt
  let (p, _) = try longModeProcessor([
    0x0f, 0x01, 0xf9, 0x89, 0xcb, 0xf9, 0x9c, 0x5e, 0x8c, 0xd7, 0x66, 0x41, 0x8c, 0xca, 0xfc, 0xf4,
  ])
  p.cpu.timeStampAux = 0x1234_5678
  p.cpu.flags = [.overflow, .zero, .fixed]
  (p.cpu.registers[1], p.cpu.registers[7], p.cpu.registers[10]) = (.max, .max, .max)
  #expect(p.runGuest() == .halted)
  #expect(p.cpu.registers[1] == 0x1234_5678)
  #expect(p.cpu.registers[3] == 0x1234_5678)
  #expect(p.cpu.registers[6] == 0x843)
  #expect(p.cpu.flags.isSuperset(of: [.overflow, .zero, .carry]))
  #expect(p.cpu.registers[7] == 16)
  #expect(p.cpu.registers[10] == 0xffff_ffff_ffff_0008)
}
