import Engine
import GuestMemory
import Testing
import X86

@Suite struct SystemCallTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws {
    machine = try SystemMachine()
    processor.cpu.star = 0x001b_0008 << 32
    processor.cpu.longStar = 0xffff_ffff_8000_1000
    processor.cpu.compatibilityStar = 0xffff_ffff_8000_2000
    processor.cpu.systemCallMask = 0x47700
  }

  @Test func `SYSCALL enters the kernel and SYSRET leaves it`() throws {
    try machine.enterUser()
    processor.cpu.flags = RFLAGS(rawValue: 0x10246)
    #expect(machine.run(instruction(.systemCall)) == nil)
    #expect(processor.cpu.registers[1] == 0x40_1002)
    #expect(processor.cpu.registers[11] == 0x246)
    #expect(processor.cpu.instructionPointer == 0xffff_ffff_8000_1000)
    #expect(processor.cpu.flags.rawValue == 0x46)
    #expect(processor.cpu.privilege == 0)
    #expect(processor.cpu[.cs].selector == 8)
    #expect(processor.cpu[.ss].selector == 16)
    #expect(processor.cpu.is64Bit)

    #expect(machine.run(instruction(.systemReturn)) == nil)
    #expect(processor.cpu.instructionPointer == 0x40_1002)
    #expect(processor.cpu.flags.rawValue == 0x246)
    #expect(processor.cpu.privilege == 3)
    #expect(processor.cpu[.cs].selector == Selector.userCode)
    #expect(processor.cpu[.ss].selector == Selector.userData)
  }

  @Test func `32-bit user code comes in through CSTAR where the vendor is AMD`() throws {
    try machine.enterUser()
    processor.cpu[.cs] = machine.segment(0, 0xc0fb, Selector.userCode32)
    #expect(machine.run(instruction(.systemEnter)) == .undefined)
    #expect(machine.run(instruction(.systemCall)) == nil)
    #expect(processor.cpu.instructionPointer == 0xffff_ffff_8000_2000)
    #expect(machine.run(instruction(.systemReturn) { $0.operandSize = 4 }) == nil)
    #expect(!processor.cpu.is64Bit)
    #expect(processor.cpu[.cs].selector == Selector.userCode32)
    machine.environment.vendor = 0x756e_6547
    #expect(machine.run(instruction(.systemCall)) == .undefined)
  }

  @Test func `SYSENTER and SYSEXIT on Intel's`() throws {
    machine.environment.vendor = 0x756e_6547
    try machine.enterUser()
    #expect(machine.run(instruction(.systemEnter)) == .protection)
    processor.cpu.sysenterCS = 0x8
    processor.cpu.sysenterEIP = 0xffff_8000_0000_1000
    processor.cpu.sysenterESP = 0xffff_8000_0000_2000
    #expect(machine.run(instruction(.systemEnter)) == nil)
    #expect(processor.cpu.instructionPointer == 0xffff_8000_0000_1000)
    #expect(processor.cpu.registers[4] == 0xffff_8000_0000_2000)
    processor.cpu.registers[2] = 0x1_2345_6789
    #expect(machine.run(instruction(.systemExit) { $0.operandSize = 4 }) == nil)
    #expect(processor.cpu.instructionPointer == 0x2345_6789)
    #expect(processor.cpu[.cs].selector == 0x1b)
    #expect(processor.cpu.privilege == 3)
  }

  @Test func `they need EFER.SCE and, to leave, level 0`() throws {
    try machine.enterUser()
    #expect(machine.run(instruction(.systemReturn)) == .protection)
    processor.cpu.efer.remove(.systemCall)
    #expect(machine.run(instruction(.systemCall)) == .undefined)
  }
}
