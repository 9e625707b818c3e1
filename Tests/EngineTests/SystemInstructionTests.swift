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
    #expect(processor.cpu.interruptShadow == 1)
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
    #expect(move(5) == nil)
    #expect(processor.cpu.debugRegisters[7] == 0x2401)
    #expect(move(0) == GuestFault(.debug))
    processor.cpu.debugRegisters[7] = 0x400
    processor.cpu.cr4.insert(.debuggingExtensions)
    #expect(move(5) == .undefined)
  }
}
