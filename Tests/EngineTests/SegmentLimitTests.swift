import Engine
import GuestMemory
import Testing
import X86

/// Segment limits, types and stacks as translated code sees them.
struct SegmentLimitTests {
  /// Real mode with every segment at `selector`, about to run at `offset`.
  private func realMachine(_ selector: UInt16, at offset: UInt64) throws -> SystemMachine {
    let machine = try SystemMachine()
    machine.enterReal()
    for name in [SegmentName.es, .cs, .ss, .ds, .fs, .gs] {
      machine.processor.cpu[name] = SegmentRegister(
        base: UInt64(selector) << 4, limit: 0xffff, selector: selector,
        attributes: SegmentAttributes(rawValue: 0x93))
    }
    machine.processor.cpu.instructionPointer = offset
    machine.processor.stateWasReplaced()
    return machine
  }

  @Test func `zeros run up to the end of the segment, and through an empty vector table`() throws {
    // A sample program of KVM's is loaded at 0 but started at 1000:0000; it works because 64 KiB
    // of ADD [BX+SI],AL end in #GP, whose vector is 0000:0000.
    let machine = try realMachine(0x1000, at: 0)
    let processor = machine.processor
    try machine.memory.write([UInt8](repeating: 0, count: 0x20000), at: 0)
    try machine.memory.store(UInt8(0xf4), at: 0)
    processor.cpu.registers = .init(repeating: 0)
    processor.cpu.registers[4] = 0xffff_ffff
    #expect(processor.runGuest() == .halted)
    #expect(processor.cpu[.cs].selector == 0 && processor.cpu.instructionPointer == 1)
    #expect(processor.cpu.registers[4] == 0xffff_fff9)
    let frame = try (0..<3).map { try machine.memory.load(UInt16.self, at: 0x1fff9 + $0 * 2) }
    #expect(frame[0] == 0 && frame[1] == 0x1000)
  }
}
