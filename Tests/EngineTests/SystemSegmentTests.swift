import Engine
import GuestMemory
import Testing
import X86

@Suite struct SegmentTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  func load(_ name: SegmentName, _ selector: UInt16) -> GuestFault? {
    do {
      try processor.loadSegment(name, selector)
      return nil
    } catch {
      return error
    }
  }

  func setSpare(_ descriptor: UInt64) throws {
    try machine.memory.store(
      descriptor, at: SystemMachine.globalTable + UInt64(Selector.spare))
  }

  @Test func `a load takes base, limit and rights, and marks the descriptor`() throws {
    try setSpare(0x12c0_f212_3456_789a)
    #expect(load(.fs, Selector.spare) == nil)
    let register = processor.cpu[.fs]
    #expect(register.base == 0x1212_3456)
    #expect(register.limit == 0x0789_afff)
    #expect(register.attributes.rawValue == 0xc0f3)
    #expect(
      try machine.memory.load(UInt8.self, at: SystemMachine.globalTable + 0x4d) == 0xf3)
  }

  @Test(arguments: [
    // Not present, execute-only code, a system descriptor.
    (UInt64(0x00c0_7200_0000_ffff), ExceptionVector.segmentNotPresent),
    (0x00c0_f800_0000_ffff, .generalProtection),
    (0x0000_8900_0000_ffff, .generalProtection),
  ])
  func `descriptors that do not fit fault with the selector`(
    descriptor: UInt64, vector: ExceptionVector
  ) throws {
    try setSpare(descriptor)
    #expect(load(.ds, Selector.spare) == GuestFault(vector, errorCode: 0x48))
  }

  @Test func `user code may not load kernel segments, and null ones load but do not work`() throws {
    try machine.enterUser()
    #expect(load(.ds, Selector.kernelData) == GuestFault(.generalProtection, errorCode: 0x10))
    #expect(load(.ds, Selector.userData) == nil)
    #expect(load(.ds, 3) == nil)
    #expect(processor.cpu[.ds].attributes.rawValue == 0)
    #expect(load(.ds, 0x54) == GuestFault(.generalProtection, errorCode: 0x54))
  }

  @Test func `SS must be writable data of the current level`() throws {
    #expect(load(.ss, Selector.userData) == GuestFault(.generalProtection, errorCode: 0x20))
    #expect(load(.ss, Selector.kernelCode) == GuestFault(.generalProtection, errorCode: 8))
    #expect(load(.ss, 0) == nil)
    #expect(load(.ss, Selector.kernelData) == nil)
    try setSpare(0x00c0_1200_0000_ffff)
    #expect(load(.ss, Selector.spare) == GuestFault(.stackFault, errorCode: 0x48))
    try machine.enterUser()
    #expect(load(.ss, 3) == .protection)
  }

  @Test func `MOV to SS holds interrupts off`() {
    processor.cpu.registers[0] = UInt64(Selector.kernelData)
    let move = instruction(.moveToSegment) {
      $0.modRM = 0xd0
      $0.setOperand(1, .general, 0, size: 2)
    }
    #expect(machine.run(move) == nil)
    #expect(processor.cpu.interruptShadow == InterruptShadow.stackSegment)
  }

  @Test func `LTR marks the task busy and reads 16 bytes`() throws {
    try machine.memory.store(
      UInt64(0xffff_8000), at: SystemMachine.globalTable + UInt64(Selector.task) + 8)
    processor.cpu.registers[0] = UInt64(Selector.task)
    let load = instruction(.loadLocalSelector) {
      $0.modRM = 0xd8
      $0.setOperand(0, .general, 0, size: 2)
    }
    #expect(machine.run(load) == nil)
    #expect(processor.cpu[.task].base == 0xffff_8000_0000_3000)
    #expect(processor.cpu[.task].attributes.rawValue == 0x8b)
    #expect(machine.run(load) == GuestFault(.generalProtection, errorCode: 0x30))
  }

  @Test func `LAR, LSL and VERW answer in ZF`() throws {
    processor.cpu.registers[3] = UInt64(Selector.userData)
    let rights = instruction(.loadAccessRights) {
      $0.operandSize = 4
      $0.setOperand(0, .general, 0, size: 4)
      $0.setOperand(1, .general, 3, size: 2)
      $0.operands[0].place = .modRMRegister
    }
    #expect(machine.run(rights) == nil)
    #expect(processor.cpu.registers[0] == 0xc0_f300)
    #expect(processor.cpu.flags.contains(.zero))
    var limit = rights
    limit.operation = .loadSegmentLimit
    #expect(machine.run(limit) == nil)
    #expect(processor.cpu.registers[0] == 0xffff_ffff)
    try machine.enterUser()
    processor.cpu.registers[3] = UInt64(Selector.kernelData)
    #expect(machine.run(limit) == nil)
    #expect(!processor.cpu.flags.contains(.zero))
    let verify = instruction(.verifySegment) {
      $0.modRM = 0xeb
      $0.setOperand(0, .general, 3, size: 2)
    }
    processor.cpu.registers[3] = UInt64(Selector.userData)
    #expect(machine.run(verify) == nil)
    #expect(processor.cpu.flags.contains(.zero))
  }

  @Test func `LGDT and SGDT move limit and 64-bit base`() throws {
    try machine.memory.store(UInt16(0x1234), at: 0x6000)
    try machine.memory.store(UInt64(0xffff_8123_4567_89ab), at: 0x6002)
    let load = instruction(.loadDescriptorTable) {
      $0.modRM = 2 << 3
      $0.setMemory(at: 0x6000)
    }
    #expect(machine.run(load) == nil)
    #expect(processor.cpu.globalTable.base == 0xffff_8123_4567_89ab)
    #expect(processor.cpu.globalTable.limit == 0x1234)
    let store = instruction(.storeDescriptorTable) { $0.setMemory(at: 0x6100) }
    #expect(machine.run(store) == nil)
    #expect(
      try machine.memory.bytes(at: 0x6000, count: 10) == machine.memory.bytes(at: 0x6100, count: 10)
    )
    try machine.memory.store(UInt64(0x8000_0000_0000), at: 0x6002)
    #expect(machine.run(load) == .protection)
  }

  @Test func `far returns and calls change code segments`() throws {
    try machine.memory.store(UInt64(0x1234), at: 0x8000)
    try machine.memory.store(UInt64(Selector.kernelCode32), at: 0x8008)
    #expect(machine.run(instruction(.returnFar)) == nil)
    #expect(processor.cpu.instructionPointer == 0x1234)
    #expect(!processor.cpu.is64Bit)
    #expect(processor.cpu.registers[4] == 0x8010)
    let call = instruction(.callFar) {
      $0.operandSize = 4
      $0.immediate = 0x5678
      $0.secondImmediate = Selector.kernelCode
    }
    #expect(machine.run(call) == nil)
    #expect(processor.cpu.is64Bit)
    #expect(try machine.stack(1) == [UInt64(Selector.kernelCode32) << 32 | 0x1236])
    var jump = call
    jump.operation = .jumpFar
    jump.secondImmediate = Selector.userCode
    #expect(machine.run(jump) == GuestFault(.generalProtection, errorCode: 0x28))
  }

  @Test func `a 64-bit call gate switches stacks`() throws {
    try machine.enterUser()
    let gate = UInt64(Selector.kernelCode) << 16 | 0x7000 | 0xec00 << 32
    try machine.memory.store(gate, at: SystemMachine.globalTable + UInt64(Selector.spare))
    try machine.memory.store(UInt64(0), at: SystemMachine.globalTable + 0x50)
    processor.cpu.globalTable.limit = 0x57
    try machine.map(1, to: 0x10_1000, flags: 7)
    try machine.memory.store(UInt16(Selector.spare | 3), at: 0x10_1008)
    let call = instruction(.callFar) { $0.setMemory(at: SystemMachine.window + 0x1000) }
    #expect(machine.run(call) == nil)
    #expect(processor.cpu.privilege == 0)
    #expect(processor.cpu.instructionPointer == 0x7000)
    #expect(
      try machine.stack(4) == [
        0x40_1002, UInt64(Selector.userCode), SystemMachine.window + 0x1000,
        UInt64(Selector.userData),
      ])
    #expect(machine.run(instruction(.returnFar)) == nil)
    #expect(processor.cpu.privilege == 3)
    #expect(processor.cpu.registers[4] == SystemMachine.window + 0x1000)
  }

  @Test func `SWAPGS and the base instructions`() throws {
    processor.cpu[.gs].base = 1
    processor.cpu.kernelGSBase = 2
    #expect(machine.run(instruction(.swapSegmentBase)) == nil)
    #expect(processor.cpu[.gs].base == 2)
    #expect(processor.cpu.kernelGSBase == 1)
    let write = instruction(.writeSegmentBase) {
      $0.modRM = 0xd8
      $0.setOperand(0, .general, 0)
    }
    #expect(machine.run(write) == .undefined)
    processor.cpu.cr4.insert(.fsgsbase)
    processor.cpu.registers[0] = 0x8000_0000_0000
    #expect(machine.run(write) == .protection)
    processor.cpu.registers[0] = 0x7000_0000_0000
    #expect(machine.run(write) == nil)
    #expect(processor.cpu[.gs].base == 0x7000_0000_0000)
  }
}
