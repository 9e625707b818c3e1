import Engine
import GuestMemory
import Testing
import X86

@Suite struct FlagTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  /// POPF of every flag, at a privilege level with an IOPL.
  func popAll(privilege: UInt8, ioPrivilege: UInt64) throws -> UInt64 {
    if privilege == 3 { try machine.enterUser() }
    processor.cpu.registers[4] = privilege == 3 ? SystemMachine.window + 0xf00 : 0x7f00
    processor.cpu.flags = RFLAGS(rawValue: ioPrivilege << 12 | 2)
    let place = processor.cpu.registers[4]
    try processor.writeLinear(place, size: 8, value: 0xffff_ffff, as: .write)
    #expect(machine.run(instruction(.popFlags)) == nil)
    #expect(processor.cpu.registers[4] == place + 8)
    return processor.cpu.flags.rawValue
  }

  @Test func `POPF changes what the privilege level may`() throws {
    #expect(try popAll(privilege: 0, ioPrivilege: 0) == 0x24_7fd7)
    #expect(try popAll(privilege: 3, ioPrivilege: 0) == 0x24_4dd7)
    #expect(try popAll(privilege: 3, ioPrivilege: 3) == 0x24_7fd7)
    #expect(try popAll(privilege: 3, ioPrivilege: 1) == 0x24_5dd7)
  }

  @Test func `POPF asks for new code only when something but arithmetic changes`() throws {
    processor.cpu.flags = [.fixed, .carry]
    #expect(machine.run(instruction(.pushFlags)) == nil)
    processor.cpu.flags = [.fixed, .zero]
    #expect(machine.run(instruction(.popFlags)) == nil)
    #expect(!machine.outcome.last.isNewMode)
    #expect(processor.cpu.flags == [.fixed, .carry])
    try machine.memory.store(UInt64(0x202), at: 0x8000)
    #expect(machine.run(instruction(.popFlags)) == nil)
    #expect(machine.outcome.last.isNewMode)
  }

  @Test func `16-bit POPF leaves the upper flags`() throws {
    processor.cpu.flags = [.fixed, .alignmentCheck, .identification]
    try machine.memory.store(UInt64(0), at: 0x8000)
    #expect(machine.run(instruction(.popFlags) { $0.operandSize = 2 }) == nil)
    #expect(processor.cpu.flags == [.fixed, .alignmentCheck, .identification])
    #expect(processor.cpu.registers[4] == 0x8002)
  }

  @Test func `PUSHF hides VM and RF`() throws {
    processor.cpu.flags = [.fixed, .resume, .overflow, .interrupt]
    #expect(machine.run(instruction(.pushFlags)) == nil)
    #expect(try machine.stack(1) == [0xa02])
  }

  @Test func `CLI and STI obey IOPL, and STI holds interrupts off once`() throws {
    #expect(machine.run(instruction(.setInterrupt)) == nil)
    #expect(machine.outcome.last.isNewMode)
    #expect(processor.cpu.interruptShadow == 1)
    processor.cpu.interruptShadow = 0
    #expect(machine.run(instruction(.setInterrupt)) == nil)
    #expect(processor.cpu.interruptShadow == 0)
    try machine.enterUser()
    #expect(machine.run(instruction(.clearInterrupt)) == .protection)
    processor.cpu.flags.insert(.ioPrivilege)
    #expect(machine.run(instruction(.clearInterrupt)) == nil)
    #expect(!processor.cpu.flags.contains(.interrupt))
  }

  @Test func `CLAC and STAC belong to the kernel`() throws {
    #expect(machine.run(instruction(.setAlignment)) == nil)
    #expect(processor.cpu.flags.contains(.alignmentCheck))
    try machine.enterUser()
    #expect(machine.run(instruction(.clearAlignment)) == .undefined)
  }
}
