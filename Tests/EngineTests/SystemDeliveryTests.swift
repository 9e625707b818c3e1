import Engine
import GuestMemory
import Testing
import X86

@Suite struct LongModeDeliveryTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  func interruptReturn(size: UInt8 = 8) -> GuestFault? {
    machine.run(instruction(.interruptReturn) { $0.operandSize = size })
  }

  @Test func `an interrupt at the same level aligns the stack and masks interrupts`() throws {
    try machine.setGate(0x20)
    processor.cpu.registers[4] = 0x7ffb
    processor.cpu.flags = RFLAGS(rawValue: 0x0ad7)
    #expect(processor.deliverInterrupt(vector: 0x20).isJump)
    #expect(processor.cpu.registers[4] == 0x7ff0 - 40)
    #expect(
      try machine.stack(5) == [
        0x5000, UInt64(Selector.kernelCode), 0xad7, 0x7ffb, UInt64(Selector.kernelData),
      ])
    #expect(processor.cpu.instructionPointer == SystemMachine.handler)
    #expect(processor.cpu.flags.rawValue == 0x8d7)
    #expect(processor.cpu[.ss].selector == Selector.kernelData)

    #expect(interruptReturn() == nil)
    #expect(processor.cpu.registers[4] == 0x7ffb)
    #expect(processor.cpu.instructionPointer == 0x5000)
    #expect(processor.cpu.flags.rawValue == 0xad7)
  }

  @Test func `from user code the task state gives the stack, and IRET goes back`() throws {
    try machine.enterUser()
    try machine.setGate(14)
    processor.cpu[.fs].base = 0x1234_5678_9abc
    let fault = GuestFault(.pageFault, errorCode: 6, address: 0xdead_b000)
    #expect(processor.deliver(fault: fault).isJump)
    #expect(processor.cpu.cr2 == 0xdead_b000)
    #expect(processor.cpu.privilege == 0)
    #expect(processor.cpu[.cs].selector == Selector.kernelCode)
    #expect(processor.cpu[.ss].selector == 0)
    #expect(processor.cpu.registers[4] == SystemMachine.stackTop - 48)
    #expect(
      try machine.stack(6) == [
        6, 0x40_1000, UInt64(Selector.userCode), 0x10002, SystemMachine.window + 0x1000,
        UInt64(Selector.userData),
      ])

    processor.cpu.registers[4] += 8
    #expect(interruptReturn() == nil)
    #expect(processor.cpu.privilege == 3)
    #expect(processor.cpu[.cs].selector == Selector.userCode)
    #expect(processor.cpu[.ss].selector == Selector.userData)
    #expect(processor.cpu.registers[4] == SystemMachine.window + 0x1000)
    #expect(processor.cpu.flags.contains(.resume))
    #expect(processor.cpu[.fs].base == 0x1234_5678_9abc)
  }

  @Test func `a gate with a stack of its own uses it at every level`() throws {
    try machine.setGate(2, stackTable: 1)
    #expect(processor.deliverNMI().isJump)
    #expect(processor.cpu.registers[4] == 0xa000 - 40)
    #expect(processor.cpu.nmiBlocked == 1)
    #expect(interruptReturn() == nil)
    #expect(processor.cpu.nmiBlocked == 0)
    #expect(processor.cpu.registers[4] == 0x8000)
  }

  @Test func `INT needs a gate that user code may use`() throws {
    try machine.enterUser()
    try machine.setGate(0x80)
    let call = instruction(.interrupt) {
      $0.immediate = Int64(Int8(bitPattern: 0x80))
      $0.immediateSize = 1
    }
    #expect(machine.run(call) == GuestFault(.generalProtection, errorCode: 0x402))
    #expect(processor.cpu.instructionPointer == 0x40_1000)
    try machine.setGate(0x80, attributes: 0xef)
    processor.cpu.flags.insert(.interrupt)
    #expect(machine.run(call) == nil)
    #expect(try machine.stack(1) == [0x40_1002])
    // A trap gate leaves interrupts on.
    #expect(processor.cpu.flags.contains(.interrupt))
  }

  @Test func `a missing gate becomes a general protection fault with IDT and EXT`() throws {
    try machine.setGate(13)
    #expect(processor.deliverInterrupt(vector: 0x21).isJump)
    #expect(try machine.stack(2) == [0x21 << 3 | 3, 0x5000])
    try machine.setGate(11)
    try machine.setGate(0x22, attributes: 0x0e)
    #expect(processor.deliverInterrupt(vector: 0x22).isJump)
    #expect(try machine.stack(1) == [0x22 << 3 | 3])
  }

  @Test func `two contributory faults make a double fault, three a shutdown`() throws {
    try machine.setGate(8, stackTable: 1)
    // #GP has no gate: #GP while delivering #GP.
    #expect(processor.deliver(fault: .protection).isJump)
    #expect(processor.cpu.registers[4] == 0xa000 - 48)
    #expect(try machine.stack(2) == [0, 0x5000])
    try machine.setGate(8, attributes: 0x0e)
    #expect(processor.deliver(fault: .protection).stopReason == .shutdown)
  }

  @Test func `a page fault during a page fault is a double fault, during a benign one it is not`()
    throws
  {
    try machine.setGate(8, stackTable: 1)
    try machine.setGate(14)
    try machine.setGate(6)
    processor.cpu.registers[4] = SystemMachine.window
    #expect(processor.deliver(fault: GuestFault(.pageFault, address: 0x123)).isJump)
    #expect(processor.cpu.instructionPointer == SystemMachine.handler)
    #expect(try machine.stack(1) == [0])
    #expect(processor.cpu.registers[4] == 0xa000 - 48)
    // The second fault's address is what CR2 shows.
    #expect(processor.cpu.cr2 == SystemMachine.window - 48)

    machine.enterKernel()
    processor.cpu.registers[4] = SystemMachine.window
    try machine.setGate(14, stackTable: 1)
    #expect(processor.deliver(fault: .undefined).isJump)
    #expect(try machine.stack(1) == [2])
    #expect(processor.cpu.cr2 == SystemMachine.window - 40)
  }

  @Test func `no table at all is a shutdown, with the state as it was`() {
    processor.cpu.interruptTable.limit = 0
    #expect(processor.deliver(fault: .undefined).stopReason == .shutdown)
    #expect(processor.cpu.instructionPointer == 0x5000)
    #expect(processor.cpu.registers[4] == 0x8000)
  }

  @Test func `IRET from 64-bit code reaches 32-bit user code`() throws {
    let frame: [UInt64] = [
      0x1234, UInt64(Selector.userCode32), 0x202, 0xffff_0000_1000, UInt64(Selector.userData),
    ]
    for (index, word) in frame.enumerated() {
      try machine.memory.store(word, at: 0x8000 + UInt64(index) * 8)
    }
    #expect(interruptReturn() == nil)
    #expect(processor.cpu.privilege == 3)
    #expect(!processor.cpu.is64Bit)
    #expect(processor.cpu.registers[4] == 0x1000)
    #expect(processor.cpu.flags.contains(.interrupt))
  }

  static let badFrames: [BadFrame] = [
    BadFrame(code: 0x18, stack: 0x23, error: 0x18), BadFrame(code: 0, stack: 0x23, error: 0),
    BadFrame(code: 0x23, stack: 0x23, error: 0x20), BadFrame(code: 0x2b, stack: 0, error: 0),
    BadFrame(code: 0x2b, stack: 0x10, error: 0x10), BadFrame(code: 0x53, stack: 0x23, error: 0x50),
  ]
  struct BadFrame {
    var code: UInt64
    var stack: UInt64
    var error: UInt32
  }

  @Test(arguments: badFrames)
  func `IRET refuses selectors that do not fit and changes nothing`(
    bad: BadFrame
  ) throws {
    let frame: [UInt64] = [0x1234, bad.code, 0x202, 0x1000, bad.stack]
    for (index, word) in frame.enumerated() {
      try machine.memory.store(word, at: 0x8000 + UInt64(index) * 8)
    }
    #expect(interruptReturn() == GuestFault(.generalProtection, errorCode: bad.error))
    #expect(processor.cpu.registers[4] == 0x8000)
    #expect(processor.cpu.privilege == 0)
  }

  @Test func `going out makes kernel data segments null but keeps their bases`() throws {
    processor.cpu[.ds] = machine.segment(0, 0xc093, Selector.kernelData)
    processor.cpu[.es] = machine.segment(0, 0xc0f3, Selector.userData)
    processor.cpu[.gs] = machine.segment(0x7777, 0xc093, Selector.kernelData)
    let frame: [UInt64] = [0, UInt64(Selector.userCode), 2, 0x1000, UInt64(Selector.userData)]
    for (index, word) in frame.enumerated() {
      try machine.memory.store(word, at: 0x8000 + UInt64(index) * 8)
    }
    #expect(interruptReturn() == nil)
    #expect(processor.cpu[.ds].selector == 0)
    #expect(processor.cpu[.es].selector == Selector.userData)
    #expect(processor.cpu[.gs].selector == 0)
    #expect(processor.cpu[.gs].base == 0x7777)
  }
}

@Suite struct LegacyDeliveryTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  func word(_ address: UInt64) throws -> UInt16 {
    try machine.memory.load(UInt16.self, at: address)
  }
  func long(_ address: UInt64) throws -> UInt32 {
    try machine.memory.load(UInt32.self, at: address)
  }

  @Test func `real mode pushes three words and IRET takes them back`() throws {
    machine.enterReal()
    processor.cpu[.cs].base = 0x4000
    processor.cpu[.cs].selector = 0x400
    processor.cpu.flags = RFLAGS(rawValue: 0x246)
    try machine.memory.store(UInt32(0x0123_4567), at: 0x10 * 4)
    let call = instruction(.interrupt) { $0.immediate = 0x10 }
    #expect(machine.run(call) == nil)
    #expect(processor.cpu.registers[4] == 0x7ffa)
    #expect(try (word(0x7ffa), word(0x7ffc), word(0x7ffe)) == (0x5002, 0x400, 0x246))
    #expect(processor.cpu[.cs].base == 0x1230)
    #expect(processor.cpu.instructionPointer == 0x4567)
    #expect(!processor.cpu.flags.contains(.interrupt))

    #expect(machine.run(instruction(.interruptReturn) { $0.operandSize = 2 }) == nil)
    #expect(processor.cpu[.cs].base == 0x4000)
    #expect(processor.cpu.instructionPointer == 0x5002)
    #expect(processor.cpu.flags.rawValue == 0x246)
  }

  /// A 32-bit interrupt gate, and a stack for level 0.
  func prepareProtected() throws {
    machine.enterProtected()
    let gate = UInt64(Selector.kernelCode32) << 16 | 0x7000 | 0x8e00 << 32
    try machine.memory.store(gate, at: SystemMachine.interruptTable + 13 * 8)
    try machine.memory.store(gate | 0x6000 << 32, at: SystemMachine.interruptTable + 0x30 * 8)
    try machine.memory.store(UInt32(0x9000), at: SystemMachine.task + 4)
    try machine.memory.store(Selector.kernelData, at: SystemMachine.task + 8)
  }

  @Test func `protected mode switches stacks through the 32-bit task state, and back`() throws {
    try prepareProtected()
    processor.cpu.privilege = 3
    processor.cpu[.cs] = machine.segment(0, 0xc0fb, Selector.userCode32)
    processor.cpu[.ss] = machine.segment(0, 0xc0f3, Selector.userData)
    #expect(processor.deliver(fault: GuestFault(.generalProtection, errorCode: 0x50)).isJump)
    #expect(processor.cpu.registers[4] == 0x9000 - 24)
    let frame = try (0..<6).map { try long(0x9000 - 24 + UInt64($0) * 4) }
    #expect(
      frame == [
        0x50, 0x5000, UInt32(Selector.userCode32), 0x10002, 0x8000, UInt32(Selector.userData),
      ])
    #expect(processor.cpu.privilege == 0)
    #expect(processor.cpu[.ss].selector == Selector.kernelData)

    processor.cpu.registers[4] += 4
    #expect(machine.run(instruction(.interruptReturn) { $0.operandSize = 4 }) == nil)
    #expect(processor.cpu.privilege == 3)
    #expect(processor.cpu.registers[4] == 0x8000)
    #expect(processor.cpu[.cs].selector == Selector.userCode32)
  }

  @Test func `virtual-8086 code is interrupted into level 0 and resumed`() throws {
    try prepareProtected()
    processor.cpu.privilege = 3
    processor.cpu.flags = [.fixed, .virtual8086, .ioPrivilege]
    for (index, name) in [SegmentName.es, .cs, .ss, .ds, .fs, .gs].enumerated() {
      processor.cpu[name] = SegmentRegister(
        base: UInt64(index) << 8, limit: 0xffff, selector: UInt16(index) << 4,
        attributes: SegmentAttributes(rawValue: 0xf3))
    }
    #expect(machine.run(instruction(.interrupt) { $0.immediate = 0x30 }) == nil)
    #expect(processor.cpu.registers[4] == 0x9000 - 36)
    let frame = try (0..<9).map { try long(0x9000 - 36 + UInt64($0) * 4) }
    #expect(frame == [0x5002, 0x10, 0x23002, 0x8000, 0x20, 0x00, 0x30, 0x40, 0x50])
    #expect(!processor.cpu.flags.contains(.virtual8086))
    #expect(processor.cpu[.ds].selector == 0)

    #expect(machine.run(instruction(.interruptReturn) { $0.operandSize = 4 }) == nil)
    #expect(processor.cpu.flags.contains(.virtual8086))
    #expect(processor.cpu.privilege == 3)
    #expect(processor.cpu[.gs].base == 0x500)
    #expect(processor.cpu.registers[4] == 0x8000)
    #expect(processor.cpu.instructionPointer == 0x5002)
  }

  @Test func `with VME the redirection bitmap keeps INT in the 8086 program`() throws {
    try prepareProtected()
    processor.cpu.privilege = 3
    processor.cpu.cr4 = .virtual8086
    processor.cpu.flags = [.fixed, .virtual8086, .virtualInterrupt]
    for name in [SegmentName.es, .cs, .ss, .ds] {
      processor.cpu[name] = SegmentRegister(
        base: 0, limit: 0xffff, selector: 0, attributes: SegmentAttributes(rawValue: 0xf3))
    }
    processor.cpu[.task].limit = 0x100
    try machine.memory.store(UInt16(0x88), at: SystemMachine.task + 102)
    try machine.memory.store(UInt32(0x0123_4567), at: 0x21 * 4)
    let call = instruction(.interrupt) { $0.immediate = 0x21 }
    #expect(machine.run(call) == nil)
    #expect(processor.cpu.flags == [.fixed, .virtual8086])
    #expect(processor.cpu[.cs].base == 0x1230)
    #expect(processor.cpu.instructionPointer == 0x4567)
    #expect(try (word(0x7ffa), word(0x7ffe)) == (0x5002, 0x3202))
    // The vector's bit says that the system wants it.
    try machine.memory.store(UInt8(2), at: SystemMachine.task + 0x68 + 4)
    #expect(machine.run(call) == .protection)
  }

  @Test func `a task gate switches tasks, and IRET with NT switches back`() throws {
    try prepareProtected()
    // The second task's state is at 0x3800; its descriptor and gate are spare entries.
    try machine.memory.store(
      UInt64(0x0000_8900_3800_0067), at: SystemMachine.globalTable + UInt64(Selector.spare))
    try machine.memory.store(
      UInt64(Selector.spare) << 16 | 0x8500 << 32, at: SystemMachine.interruptTable + 8 * 8)
    try machine.memory.store(UInt32(0x6000), at: 0x3800 + 32)
    try machine.memory.store(UInt32(2), at: 0x3800 + 36)
    try machine.memory.store(UInt32(0xb000), at: 0x3800 + 56)
    for (index, selector) in [Selector.kernelData, Selector.kernelCode32, Selector.kernelData]
      .enumerated()
    {
      try machine.memory.store(selector, at: 0x3800 + 72 + UInt64(index) * 4)
    }
    try machine.memory.store(Selector.kernelData, at: 0x3800 + 84)
    try machine.memory.store(UInt8(0x8b), at: SystemMachine.globalTable + 0x35)
    processor.cpu.registers[3] = 0x1111
    #expect(processor.deliver(fault: GuestFault(.doubleFault)).isJump)
    #expect(processor.cpu.instructionPointer == 0x6000)
    #expect(processor.cpu.registers[4] == 0xaffc)
    #expect(processor.cpu.registers[3] == 0)
    #expect(processor.cpu[.task].selector == Selector.spare)
    #expect(processor.cpu.flags.contains(.nestedTask))
    #expect(processor.cpu.cr0.contains(.taskSwitched))
    #expect(try word(0x3800) == Selector.task)
    #expect(try long(SystemMachine.task + 32) == 0x5000)

    // Some selectors of the first task's state were saved as they were.
    #expect(machine.run(instruction(.interruptReturn) { $0.operandSize = 4 }) == nil)
    #expect(processor.cpu[.task].selector == Selector.task)
    #expect(try long(0x3800 + 32) == 0x6002)
    #expect(processor.cpu.registers[3] == 0x1111)
    #expect(processor.cpu.registers[4] == 0x8000)
    #expect(processor.cpu.instructionPointer == 0x5000)
  }
}
