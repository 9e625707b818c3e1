import Engine
import GuestMemory
import Testing
import X86

/// System instructions from their bytes, so that decoder and execution agree on where operands are.
@Suite struct EncodedSystemTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  /// Decodes and runs one instruction, and moves past it as the run loop does.
  @discardableResult
  func run(_ bytes: [UInt8]) -> GuestFault? {
    let size: CodeSize =
      processor.cpu.is64Bit
      ? .bits64 : processor.cpu[.cs].attributes[.defaultBig] ? .bits32 : .bits16
    var instruction = Instruction()
    let result = decode(bytes.span.bytes, codeSize: size, features: .all, into: &instruction)
    #expect(Int(instruction.length) == bytes.count, "\(result)")
    let fault = machine.run(instruction)
    if fault == nil && !machine.outcome.last.isJump {
      processor.cpu.instructionPointer += UInt64(instruction.length)
    }
    return fault
  }

  subscript(register: Int) -> UInt64 {
    get { processor.cpu.registers[register] }
    nonmutating set { processor.cpu.registers[register] = newValue }
  }

  @Test func `control and debug registers`() {
    processor.cpu.cr2 = 0x1234_5678_9abc
    #expect(run([0x41, 0x0f, 0x20, 0xd1]) == nil)  // mov r9, cr2
    #expect(self[9] == 0x1234_5678_9abc)
    self[3] = 7
    #expect(run([0x44, 0x0f, 0x22, 0xc3]) == nil)  // mov cr8, rbx
    #expect(machine.environment.taskPriority == 7)
    self[8] = 0x8765_4321
    #expect(run([0x41, 0x0f, 0x23, 0xc8]) == nil)  // mov dr1, r8
    #expect(processor.cpu.debugRegisters[1] == 0x8765_4321)
    #expect(run([0x0f, 0x21, 0xcf]) == nil)  // mov rdi, dr1
    #expect(self[7] == 0x8765_4321)
    processor.cpu.cr0.insert(.taskSwitched)
    #expect(run([0x0f, 0x06]) == nil)  // clts
    #expect(!processor.cpu.cr0.contains(.taskSwitched))
    #expect(run([0x0f, 0x01, 0xe2]) == nil)  // smsw edx
    #expect(self[2] == processor.cpu.cr0.rawValue)
    #expect(processor.cpu.instructionPointer == 0x5000 + 20)
  }

  @Test func `segment registers`() {
    self[0] = UInt64(Selector.userData)
    #expect(run([0x8e, 0xe0]) == nil)  // mov fs, eax
    #expect(processor.cpu[.fs].selector == Selector.userData)
    #expect(run([0x66, 0x41, 0x8c, 0xe3]) == nil)  // mov r11w, fs
    #expect(self[11] == UInt64(Selector.userData))
    #expect(run([0x0f, 0xa0]) == nil)  // push fs
    #expect(self[4] == 0x8000 - 8)
    #expect(run([0x0f, 0xa9]) == nil)  // pop gs
    #expect(processor.cpu[.gs].selector == Selector.userData)
    #expect(self[4] == 0x8000)
    #expect(run([0x8e, 0xc8]) == .undefined)  // mov cs, eax
    processor.cpu.cr4.insert(.fsgsbase)
    self[14] = 0x7fff_1234_5678
    #expect(run([0xf3, 0x49, 0x0f, 0xae, 0xd6]) == nil)  // wrfsbase r14
    #expect(run([0xf3, 0x48, 0x0f, 0xae, 0xc1]) == nil)  // rdfsbase rcx
    #expect(self[1] == 0x7fff_1234_5678)
    #expect(run([0x0f, 0x01, 0xf8]) == nil)  // swapgs
  }

  @Test func `descriptor tables and what inspects them`() throws {
    self[6] = 0x6000
    #expect(run([0x0f, 0x01, 0x06]) == nil)  // sgdt [rsi]
    #expect(try machine.memory.load(UInt16.self, at: 0x6000) == 0x4f)
    #expect(try machine.memory.load(UInt64.self, at: 0x6002) == SystemMachine.globalTable)
    #expect(run([0x0f, 0x01, 0x1e]) == nil)  // lidt [rsi]
    #expect(processor.cpu.interruptTable.base == SystemMachine.globalTable)
    self[0] = UInt64(Selector.task)
    #expect(run([0x0f, 0x00, 0xd8]) == nil)  // ltr ax
    #expect(run([0x0f, 0x00, 0xcb]) == nil)  // str ebx
    #expect(self[3] == UInt64(Selector.task))
    self[2] = UInt64(Selector.userCode)
    #expect(run([0x0f, 0x02, 0xca]) == nil)  // lar ecx, edx
    #expect(self[1] == 0xa0_fb00)
    #expect(run([0x4c, 0x0f, 0x03, 0xc2]) == nil)  // lsl r8, edx
    #expect(self[8] == 0xffff_ffff)
    #expect(run([0x0f, 0x00, 0xea]) == nil)  // verw dx
    #expect(!processor.cpu.flags.contains(.zero))
    self[2] = 0
    #expect(run([0x0f, 0x00, 0xd2]) == nil)  // lldt dx
    #expect(run([0x0f, 0x01, 0x3e]) == nil)  // invlpg [rsi]
    self[0] = 2
    #expect(run([0x66, 0x0f, 0x38, 0x82, 0x06]) == nil)  // invpcid rax, [rsi]
    self[0] = 4
    #expect(run([0x66, 0x0f, 0x38, 0x82, 0x06]) == .protection)
  }

  @Test func `model-specific registers, clocks and identity`() {
    self[0] = 0x1000
    self[1] = 0xc000_0100
    self[2] = 0x7fff
    #expect(run([0x0f, 0x30]) == nil)  // wrmsr
    #expect(processor.cpu[.fs].base == 0x7fff_0000_1000)
    self[0] = 0
    #expect(run([0x0f, 0x32]) == nil)  // rdmsr
    #expect(self[0] == 0x1000)
    processor.cpu.timeStampAux = 3
    #expect(run([0x0f, 0x01, 0xf9]) == nil)  // rdtscp
    #expect(self[1] == 3)
    #expect(run([0xf3, 0x0f, 0xc7, 0xf8]) == nil)  // rdpid rax
    #expect(self[0] == 3)
    self[1] = 0
    #expect(run([0x0f, 0x01, 0xd0]) == nil)  // xgetbv
    #expect(self[0] == 7)
    #expect(run([0x0f, 0x01, 0xd1]) == nil)  // xsetbv
    self[0] = 0
    #expect(run([0x0f, 0xa2]) == nil)  // cpuid
    #expect(self[3] == 0x6874_7541)
    #expect(run([0x0f, 0x33]) == .protection)  // rdpmc
    #expect(run([0x0f, 0x01, 0xd9]) == .undefined)  // vmmcall
    #expect(run([0x0f, 0xaa]) == .undefined)  // rsm
    (self[0], self[3], self[6]) = (5, 0x100, 0x23)
    #expect(run([0x0f, 0x01, 0xc1]) == nil)  // vmcall
    #expect(self[0] == 0x123)
  }

  @Test func `flags and ports`() {
    #expect(run([0xfb]) == nil)  // sti
    #expect(run([0xfd]) == nil)  // std
    #expect(run([0x0f, 0x01, 0xcb]) == nil)  // stac
    #expect(run([0x9c]) == nil)  // pushf
    #expect(self[4] == 0x8000 - 8)
    #expect(run([0xfa]) == nil)  // cli
    #expect(run([0xfc]) == nil)  // cld
    #expect(processor.cpu.systemFlags == 0x40002)
    #expect(run([0x9d]) == nil)  // popf
    #expect(processor.cpu.systemFlags == 0x40602)
    self[0] = 0x12_3456
    self[2] = 0x70
    #expect(run([0xe6, 0x80]) == nil)  // out 0x80, al
    #expect(run([0x66, 0xef]) == nil)  // out dx, ax
    let writes = machine.environment.portWrites
    #expect(writes.map(\.port) == [0x80, 0x70])
    #expect(writes.map(\.value) == [0x56, 0x3456])
    machine.environment.ports[0x70] = 0xaa
    #expect(run([0xec]) == nil)  // in al, dx
    #expect(self[0] == 0x12_34aa)
    processor.cpu.flags = .fixed
    self[1] = 3
    self[6] = 0x6000
    #expect(run([0xf3, 0x6e]) == nil)  // rep outsb
    #expect(self[6] == 0x6003)
  }

  @Test func `stack frames and far transfers`() throws {
    self[5] = 0x7777
    #expect(run([0xc8, 0x20, 0x00, 0x00]) == nil)  // enter 32, 0
    #expect(self[5] == 0x7ff8)
    #expect(self[4] == 0x7fd8)
    try machine.memory.store(UInt32(0x4000), at: 0x6000)
    try machine.memory.store(Selector.kernelCode32, at: 0x6004)
    self[3] = 0x6000
    #expect(run([0xff, 0x1b]) == nil)  // call far [rbx]
    #expect(!processor.cpu.is64Bit)
    #expect(self[4] == 0x7fd0)
    processor.cpu[.ss] = machine.segment(0, 0xc093, Selector.kernelData)
    #expect(run([0x60]) == nil)  // pusha
    #expect(self[4] == 0x7fb0)
    #expect(run([0x61]) == nil)  // popa
    self[0] = 0x28
    #expect(run([0x27]) == nil)  // daa
    processor.cpu[.ds] = machine.segment(0, 0xc093, Selector.kernelData)
    processor.cpu.flags = .fixed
    self[0] = 5
    #expect(run([0x62, 0x03])?.vector == .boundRange)  // bound eax, [ebx]
    try machine.memory.store(Selector.task, at: 0x6004)
    #expect(run([0xc4, 0x13]) == GuestFault(.generalProtection, errorCode: 0x30))  // les edx, [ebx]
    try machine.memory.store(Selector.kernelData, at: 0x6004)
    #expect(run([0xc4, 0x13]) == nil)
    #expect(self[2] == 0x4000)
    #expect(run([0xcb]) == nil)  // ret far
    #expect(processor.cpu.is64Bit)
    #expect(self[4] == 0x7fd8)
    let jump: [UInt8] = [0x48, 0xff, 0x2b]  // jmp far [rbx], 64-bit offset
    try machine.memory.store(UInt64(0xffff_8000_0000_0000), at: 0x6000)
    try machine.memory.store(Selector.kernelCode, at: 0x6008)
    #expect(run(jump) == nil)
    #expect(processor.cpu.instructionPointer == 0xffff_8000_0000_0000)
  }

  @Test func `interrupts, system calls and their returns`() throws {
    for vector in [1, 3, 0x80] { try machine.setGate(vector) }
    #expect(run([0xcc]) == nil)
    #expect(try machine.stack(1) == [0x5001])
    #expect(run([0x48, 0xcf]) == nil)  // iretq
    #expect(processor.cpu.instructionPointer == 0x5001)
    #expect(run([0xcd, 0x80]) == nil)
    #expect(try machine.stack(1) == [0x5003])
    #expect(run([0x48, 0xcf]) == nil)
    #expect(run([0xf1]) == nil)
    #expect(try machine.stack(1) == [0x5004])
    #expect(run([0x48, 0xcf]) == nil)
    processor.cpu.star = 0x001b_0008 << 32
    processor.cpu.longStar = 0x7000
    #expect(run([0x0f, 0x05]) == nil)
    #expect(run([0x48, 0x0f, 0x07]) == nil)
    #expect(processor.cpu.privilege == 3)
    #expect(processor.cpu.instructionPointer == 0x5006)
    #expect(run([0x0f, 0x05]) == nil)
    #expect(run([0x0f, 0x07]) == nil)
    #expect(!processor.cpu.is64Bit)
    #expect(run([0xf4]) == .protection)  // hlt
  }

  @Test func `extended state`() throws {
    self[6] = 0x6000
    self[0] = 7
    self[2] = 0
    processor.controlStatus = 0x1fa0
    for bytes: [UInt8] in [
      [0x48, 0x0f, 0xae, 0x26], [0x0f, 0xae, 0x36], [0x48, 0x0f, 0xc7, 0x26],
      [0x0f, 0xc7, 0x2e], [0x48, 0x0f, 0xae, 0x06],
    ] {
      try machine.memory.store(UInt32(0), at: 0x6018)
      #expect(run(bytes) == nil)
      #expect(try machine.memory.load(UInt32.self, at: 0x6018) == 0x1fa0)
    }
    #expect(run([0x48, 0x0f, 0xc7, 0x2e]) == nil)
    processor.controlStatus = 0x1f80
    #expect(run([0x48, 0x0f, 0xc7, 0x1e]) == nil)  // xrstors
    #expect(processor.controlStatus == 0x1fa0)
    processor.controlStatus = 0x1f80
    #expect(run([0x48, 0x0f, 0xae, 0x2e]) == nil)  // xrstor
    #expect(processor.controlStatus == 0x1fa0)
    processor.controlStatus = 0x1f80
    #expect(run([0x0f, 0xae, 0x0e]) == nil)  // fxrstor
    #expect(processor.controlStatus == 0x1fa0)
  }

  @Test func `string instructions`() throws {
    try machine.memory.write([1, 2, 3, 4, 5, 6, 7, 8], at: 0x6000)
    self[6] = 0x6000
    self[7] = 0x6100
    self[1] = 2
    #expect(run([0xf3, 0x66, 0xa5]) == nil)  // rep movsw
    #expect(try machine.memory.load(UInt64.self, at: 0x6100) == 0x0403_0201)
    #expect(run([0x48, 0xad]) == nil)  // lodsq
    self[0] = 6
    self[7] = 0x6000
    self[1] = 100
    #expect(run([0xf2, 0xae]) == nil)  // repne scasb
    #expect(self[7] == 0x6006)
    self[6] = 0x6000
    self[7] = 0x6100
    self[1] = 100
    #expect(run([0xf3, 0x67, 0xa6]) == nil)  // repe cmpsb, 32-bit addresses
    #expect(self[1] == 95)
    #expect(run([0xab]) == nil)  // stosd
    #expect(try machine.memory.load(UInt32.self, at: 0x6105) == 6)
  }
}
