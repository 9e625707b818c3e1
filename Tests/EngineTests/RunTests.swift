import Engine
import GuestMemory
import Testing
import X86

final class BareEnvironment: ProcessorEnvironment {
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
  try memory.store(UInt64(0x2000 | 7), at: 0x1000)
  try memory.store(UInt64(0x3000 | 7), at: 0x2000)
  for i in 0..<8 { try memory.store(UInt64(i) << 21 | 0x87, at: 0x3000 + UInt64(i) * 8) }
  try memory.write(code, at: 0x10000)
  p.cpu.cr3 = 0x1000
  p.cpu.cr0 = [.protection, .paging, .extensionType, .writeProtect]
  p.cpu.cr4 = [.physicalAddressExtension, .fxsr, .xsave]
  p.cpu.xcr0 = 7
  p.cpu.efer = [.longModeEnable, .longModeActive]
  p.cpu[.cs] = SegmentRegister(
    base: 0, limit: .max, selector: 8, attributes: .init(rawValue: 0xa09b))
  p.cpu[.ss] = SegmentRegister(
    base: 0, limit: .max, selector: 16, attributes: .init(rawValue: 0xc093))
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
