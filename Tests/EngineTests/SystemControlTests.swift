import Engine
import GuestMemory
import Testing
import X86

@Suite struct ControlTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  func move(to number: UInt8, _ value: UInt64) -> GuestFault? {
    processor.cpu.registers[0] = value
    return machine.run(
      instruction(.moveToControl) {
        $0.modRM = 0xc0 | (number & 7) << 3
        $0.setOperand(0, .control, number)
        $0.setOperand(1, .general, 0)
      })
  }

  @Test func `CR0 refuses what does not go together`() {
    #expect(move(to: 0, 0x8000_0010) == .protection)  // PG without PE
    #expect(move(to: 0, 0xa000_0011) == .protection)  // NW without CD
    #expect(move(to: 0, 0x1_8000_0011) == .protection)
    #expect(move(to: 0, 0x11) == .protection)  // paging off in 64-bit code
    #expect(move(to: 0, 0x8005_0033 | 8) == nil)
    #expect(processor.cpu.cr0.contains(.taskSwitched))
  }

  @Test func `paging with EFER.LME starts long mode, without it ends`() throws {
    machine.enterProtected()
    processor.cpu.cr4 = []
    processor.cpu.efer = .longModeEnable
    #expect(move(to: 0, 0x8000_0011) == .protection)  // no PAE
    #expect(processor.cpu.efer == .longModeEnable)
    processor.cpu.cr4 = .physicalAddressExtension
    #expect(move(to: 0, 0x8000_0011) == nil)
    #expect(processor.cpu.efer == [.longModeEnable, .longModeActive])
    #expect(machine.outcome.last.isNewMode)
    #expect(move(to: 0, 0x11) == nil)
    #expect(processor.cpu.efer == .longModeEnable)
  }

  @Test func `CR3 and CR4 take what is offered`() {
    #expect(move(to: 3, 1 << 63 | 0x10000) == .protection)
    #expect(move(to: 4, 0x2_0620 | 0x30) == nil)  // PCIDE
    #expect(move(to: 3, 1 << 63 | 0x10001) == nil)
    #expect(processor.cpu.cr3 == 0x10001)
    #expect(move(to: 3, 1 << 46) == .protection)
    #expect(move(to: 4, 0x610) == .protection)  // PAE cannot go in long mode
    #expect(move(to: 4, 1 << 12 | 0x620) == .protection)  // LA57
    #expect(move(to: 4, 1 << 22 | 0x620) == .protection)  // keys
    #expect(move(to: 5, 0) == .undefined)
  }

  @Test func `CR8 is the environment's task priority`() {
    #expect(move(to: 8, 16) == .protection)
    #expect(move(to: 8, 9) == nil)
    #expect(machine.environment.taskPriority == 9)
  }

  func write(_ number: UInt32, _ value: UInt64) -> GuestFault? {
    processor.cpu.registers[1] = UInt64(number)
    processor.cpu.registers[0] = value & 0xffff_ffff
    processor.cpu.registers[2] = value >> 32
    return machine.run(instruction(.writeModelSpecific))
  }

  @Test func `model-specific registers check what they take`() {
    #expect(write(0xc000_0080, 0x501 | 1 << 13) == .protection)
    #expect(write(0xc000_0080, 0xc00) == .protection)  // LME off while paging
    #expect(write(0xc000_0080, 0x100) == nil)
    #expect(processor.cpu.efer == [.longModeEnable, .longModeActive])
    #expect(write(0xc000_0082, 0x8000_0000_0000) == .protection)
    #expect(write(0xc000_0100, 0xffff_8000_0000_0000) == nil)
    #expect(processor.cpu[.fs].base == 0xffff_8000_0000_0000)
    #expect(write(0x277, 0x0007_0406_0007_0402) == .protection)
    #expect(write(0x277, 0x0407_0506_0007_0406) == nil)
    #expect(write(0x1b, 0) == .protection)
    machine.environment.modelSpecific[0x1b] = 0
    #expect(write(0x1b, 0x1_2345_6789) == nil)
    #expect(machine.environment.modelSpecific[0x1b] == 0x1_2345_6789)
    #expect(machine.run(instruction(.readModelSpecific)) == nil)
    #expect(processor.cpu.registers[0] == 0x2345_6789)
    #expect(processor.cpu.registers[2] == 1)
  }

  @Test func `the time stamp can be set and denied`() throws {
    #expect(write(0x10, 1 << 50) == nil)
    #expect(machine.run(instruction(.readTimeStamp)) == nil)
    #expect(processor.cpu.registers[2] == 1 << 18)
    try machine.enterUser()
    processor.cpu.cr4.insert(.timeStampDisable)
    #expect(machine.run(instruction(.readTimeStamp)) == .protection)
  }

  @Test func `CPUID shows OSXSAVE as CR4 has it`() {
    processor.cpu.registers[0] = 1
    #expect(machine.run(instruction(.identify)) == nil)
    #expect(processor.cpu.registers[1] >> 27 & 1 == 1)
    processor.cpu.cr4.remove(.xsave)
    processor.cpu.registers[0] = 1
    #expect(machine.run(instruction(.identify)) == nil)
    #expect(processor.cpu.registers[1] >> 27 & 1 == 0)
  }

  @Test func `XCR0 takes components that go together`() {
    func set(_ value: UInt64) -> Bool { processor.setExtendedControl(value) }
    #expect([1, 3, 7].allSatisfy(set))
    #expect(![0, 2, 5, 6, 0xf, 0x207].contains(where: set))
  }

  @Test func `HLT stops, at level 0`() throws {
    #expect(machine.run(instruction(.halt)) == nil)
    #expect(machine.outcome.last.stopReason == .halted)
    #expect(processor.cpu.halted == 1)
    try machine.enterUser()
    #expect(machine.run(instruction(.halt)) == .protection)
  }

  @Test func `debug registers 4 and 5 are 6 and 7, and general detection guards all`() {
    func move(_ number: UInt8) -> GuestFault? {
      machine.run(
        instruction(.moveToDebug) {
          $0.modRM = 0xc0 | number << 3
          $0.setOperand(0, .debug, number)
          $0.setOperand(1, .general, 0)
        })
    }
    processor.cpu.registers[0] = 0x2401
    // An exception's return may have left RF, which must not hide a breakpoint of the next instruction.
    processor.cpu.flags.insert(.resume)
    #expect(move(5) == nil)
    #expect(processor.cpu.debugRegisters[7] == 0x2401)
    #expect(!processor.cpu.flags.contains(.resume))
    #expect(move(0) == GuestFault(.debug))
    processor.cpu.debugRegisters[7] = 0x400
    processor.cpu.cr4.insert(.debuggingExtensions)
    #expect(move(5) == .undefined)
  }
}
