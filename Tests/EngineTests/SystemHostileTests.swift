import Engine
import GuestMemory
import SeededRandom
import Testing
import X86

/// Guests that put anything anywhere: whatever they run, the engine neither traps nor hangs, and an
/// instruction that faults changes nothing.
@Suite struct HostileGuestTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  /// A number that is more likely than not near some boundary.
  func number(_ random: inout SeededGenerator) -> UInt64 {
    let anchors: [UInt64] = [
      0, 0x1000, 0x2000, 0x3000, 0x6000, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff,
      SystemMachine.window, SystemMachine.window + 0x1000, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000,
      .max, 0xd000_0000, 0xc000_0080,
    ]
    switch random.below(4) {
    case 0: return random.next()
    case 1: return anchors[random.below(anchors.count)]
    case 2: return UInt64(random.below(0x100))
    default: return anchors[random.below(anchors.count)] &+ UInt64(random.below(32)) &- 16
    }
  }

  /// Code, data, gates and task states, some of them good.
  func descriptor(_ random: inout SeededGenerator) -> UInt64 {
    let rights: [UInt64] = [
      0xcf9b, 0xaf9b, 0xcf93, 0x8f93, 0xcffb, 0xaffb, 0xcff3, 0xcf97, 0x0f9b, 0x0f93, 0xcf9f,
      0x0082,
      0x0089, 0x008b, 0x0081, 0x0085, 0x00e5, 0x00ec, 0x008c, 0x00e4, 0x008e, 0x00ee, 0x008f,
      0x00e6,
    ]
    var value = rights[random.below(rights.count)] << 40
    if random.below(8) == 0 { value ^= 1 << UInt64(40 + random.below(16)) }
    let limit: UInt64 = random.below(2) == 0 ? 0xffff : UInt64(random.below(0x10000))
    let base: UInt64 = random.below(2) == 0 ? 0 : UInt64(random.below(0x40)) << 8
    // A gate has its selector where a segment has the low half of its base.
    return value | limit | base << 16
  }

  func prepare(_ random: inout SeededGenerator) throws {
    for table in [SystemMachine.globalTable, SystemMachine.interruptTable] {
      for index in 0..<UInt64(32) {
        try machine.memory.store(descriptor(&random), at: table + index * 8)
      }
    }
    for word in 0..<UInt64(32) {
      try machine.memory.store(number(&random), at: SystemMachine.task + word * 8)
      try machine.memory.store(number(&random), at: 0x6000 + word * 8)
      try machine.memory.store(number(&random), at: 0x8000 + word * 8)
    }
    for page in 0..<4 {
      let flags = UInt64(random.below(8)) | (random.below(4) == 0 ? 1 << 63 : 0)
      let places: [UInt64] = [0x10_0000, 0x6000, 0x8000, SystemMachine.root, 0xd000_0000]
      try machine.map(page, to: places[random.below(places.count)], flags: flags)
    }
  }

  func randomize(_ random: inout SeededGenerator) {
    var cpu = CPUState()
    for index in 0..<16 { cpu.registers[index] = number(&random) }
    cpu.instructionPointer = random.below(2) == 0 ? 0x5000 : number(&random)
    cpu.cr0 = [.extensionType]
    cpu.cr4 = CR4(rawValue: random.next() & 0x37_0fff)
    if random.below(5) != 0 { cpu.cr0.insert(.protection) }
    if random.below(8) == 0 { cpu.cr0.insert(.taskSwitched) }
    let isPaged = cpu.cr0.contains(.protection) && random.below(3) != 0
    if isPaged { cpu.cr0.formUnion([.paging, .writeProtect]) }
    cpu.cr3 = random.below(8) == 0 ? number(&random) & 0xffff_f000 : SystemMachine.root
    cpu.efer = [.systemCall, .noExecute]
    if isPaged && random.below(4) != 0 {
      cpu.efer.formUnion([.longModeEnable, .longModeActive])
      cpu.cr4.insert(.physicalAddressExtension)
    }
    cpu.xcr0 = [1, 3, 7][random.below(3)]
    cpu.privilege =
      cpu.cr0.contains(.protection) ? [0, 0, 3, UInt8(random.below(4))][random.below(4)] : 0
    cpu.flags = RFLAGS(rawValue: random.next() & 0x3d_7fd5 | 2)
    if cpu.cr0.contains(.protection) && cpu.efer.isDisjoint(with: .longModeActive)
      && random.below(6) == 0
    {
      cpu.flags.insert(.virtual8086)
      cpu.privilege = 3
    }
    randomizeSegments(&cpu, &random)
    processor.cpu = cpu
    processor.stateWasReplaced()
  }

  func randomizeSegments(_ cpu: inout CPUState, _ random: inout SeededGenerator) {
    let rights: [UInt16] = [0xc093, 0x0093, 0xa09b, 0xc09b, 0x009b, 0x0097, 0, 0xc0f3]
    for name in [SegmentName.es, .cs, .ss, .ds, .fs, .gs] {
      cpu[name] = SegmentRegister(
        base: random.below(2) == 0 ? 0 : number(&random),
        limit: random.below(2) == 0 ? .max : UInt32(truncatingIfNeeded: number(&random)),
        selector: UInt16(truncatingIfNeeded: number(&random)),
        attributes: SegmentAttributes(rawValue: rights[random.below(rights.count)]))
    }
    cpu.globalTable = DescriptorTable(base: SystemMachine.globalTable, limit: 0xff)
    cpu.interruptTable = DescriptorTable(base: SystemMachine.interruptTable, limit: 0xff)
    if random.below(8) == 0 { cpu.globalTable.base = number(&random) }
    if random.below(8) == 0 { cpu.interruptTable.base = number(&random) }
    cpu[.task] = SegmentRegister(
      base: SystemMachine.task, limit: UInt32(random.below(0x100)), selector: Selector.task,
      attributes: SegmentAttributes(rawValue: [0x8b, 0x83, 0][random.below(3)]))
    cpu.star = random.next()
    cpu.sysenterCS = number(&random)
  }

  func randomInstruction(_ random: inout SeededGenerator) -> Instruction {
    var result = Instruction()
    // Gathers take vector registers, whose numbers the decoder vouches for.
    repeat {
      result.operation = Operation.allCases[random.below(Operation.allCases.count)]
    } while result.operation == .gather
    result.map = random.below(2) == 0 ? .oneByte : .twoByte
    result.opcode = UInt8(random.below(256))
    result.modRM = UInt8(random.below(256))
    result.length = UInt8(1 + random.below(15))
    result.operandSize = [2, 4, 8][random.below(processor.cpu.is64Bit ? 3 : 2)]
    result.addressSize = [2, 4, 8][random.below(processor.cpu.is64Bit ? 3 : 2)]
    result.prefixes = [[], .repeated, .repeatNotEqual][random.below(3)]
    result.hasMemory = random.below(2) == 0
    result.base = [Instruction.noRegister, Instruction.instructionPointer, 6][random.below(3)]
    result.index = random.below(4) == 0 ? UInt8(random.below(16)) : Instruction.noRegister
    result.scaleShift = UInt8(random.below(4))
    result.segment = UInt8(random.below(6))
    result.displacement = Int64(bitPattern: number(&random))
    result.immediate = Int64(bitPattern: number(&random))
    result.immediateSize = UInt8(random.below(3))
    result.secondImmediate = UInt16(truncatingIfNeeded: number(&random))
    let kinds: [OperandKind] = [
      .general, .general, .memory, .control, .debug, .immediate, .segment,
    ]
    for index in 0..<3 {
      var kind = kinds[random.below(kinds.count)]
      if kind == .memory && !result.hasMemory { kind = .general }
      result.operands[index] = Operand(
        kind: kind, place: .modRMMemory, access: .readWrite, number: UInt8(random.below(16)),
        size: [1, 2, 4, 8][random.below(4)])
    }
    // Repeats of every element of a large memory would only take time.
    if result.prefixes != [] { processor.cpu.registers[1] &= 0xff }
    return result
  }

  /// What a fault must leave alone.
  func snapshot() -> [UInt64] {
    let cpu = processor.cpu
    var values = [
      cpu.instructionPointer, cpu.flags.rawValue, UInt64(cpu.privilege), cpu.cr0.rawValue, cpu.cr2,
      cpu.cr3, cpu.cr4.rawValue, cpu.efer.rawValue, cpu.xcr0, cpu.kernelGSBase,
      cpu.globalTable.base, cpu.interruptTable.base, UInt64(cpu.interruptShadow),
    ]
    for index in 0..<16 { values.append(cpu.registers[index]) }
    for index in 0..<8 {
      let segment = cpu.segments[index]
      values += [
        segment.base, UInt64(segment.limit), UInt64(segment.selector),
        UInt64(segment.attributes.rawValue),
      ]
    }
    return values
  }

  static let rounds = 30_000

  @Test func `random instructions in random states end, and faults change nothing`() throws {
    var seeds = SystemRandomNumberGenerator()
    var faults = 0
    for _ in 0..<HostileGuestTests.rounds {
      let seed = seeds.next()
      var random = SeededGenerator(seed: seed)
      try prepare(&random)
      randomize(&random)
      let instruction = randomInstruction(&random)
      let before = snapshot()
      let task = processor.cpu[.task].selector
      let fault = machine.run(instruction)
      let keepsProgress =
        instruction.isString || processor.cpu[.task].selector != task
      if fault != nil && !keepsProgress {
        #expect(snapshot() == before, "seed \(seed): \(instruction.operation)")
      }
      if let fault {
        faults += 1
        _ = processor.deliver(fault: fault)
      }
      _ = processor.deliverInterrupt(vector: UInt8(random.below(32)))
      #expect(processor.cpu.privilege < 4, "seed \(seed)")
    }
    // Neither all refused nor all let through.
    #expect((HostileGuestTests.rounds / 4..<HostileGuestTests.rounds * 9 / 10).contains(faults))
  }
}

extension Instruction {
  /// Keeps its progress when it faults.
  var isString: Bool {
    switch operation {
    case .moveString, .compareString, .storeString, .loadString, .scanString, .inputString,
      .outputString:
      true
    default: false
    }
  }
}
