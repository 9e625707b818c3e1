import Engine
import GuestMemory
import SeededRandom
import Testing
import X86

/// A string instruction on a model of memory: one element after the other, nothing clever.
private struct StringModel {
  var bytes: [UInt8]
  var source: UInt64 = 0
  var target: UInt64 = 0
  var count: UInt64 = 0
  var accumulator: UInt64 = 0
  var flags: UInt64 = 2

  func load(_ place: UInt64, _ size: Int) -> UInt64 {
    (0..<size).reduce(0) { $0 | UInt64(bytes[Int(place - SystemMachine.window) + $1]) << (8 * $1) }
  }
  mutating func store(_ value: UInt64, _ place: UInt64, _ size: Int) {
    for index in 0..<size {
      bytes[Int(place - SystemMachine.window) + index] = UInt8(
        truncatingIfNeeded: value >> (8 * index))
    }
  }

  mutating func compare(_ left: UInt64, _ right: UInt64, _ size: Int) {
    let shift = UInt64(64 - 8 * size)
    let (difference, borrow) = (left << shift).subtractingReportingOverflow(right << shift)
    let overflow = Int64(bitPattern: left << shift)
      .subtractingReportingOverflow(Int64(bitPattern: right << shift)).overflow
    let low = UInt8(truncatingIfNeeded: left &- right)
    var result: RFLAGS = .fixed
    if borrow { result.insert(.carry) }
    if low.nonzeroBitCount % 2 == 0 { result.insert(.parity) }
    if left & 15 < right & 15 { result.insert(.auxiliary) }
    if difference == 0 { result.insert(.zero) }
    if difference >> 63 != 0 { result.insert(.sign) }
    if overflow { result.insert(.overflow) }
    flags = result.rawValue
  }

  /// Runs it to its end.
  mutating func run(_ operation: Operation, size: Int, down: Bool, prefix: Prefixes) {
    let step = down ? 0 &- UInt64(size) : UInt64(size)
    let bits = size == 8 ? UInt64.max : 1 << (8 * size) - 1
    while prefix.isEmpty || count != 0 {
      switch operation {
      case .moveString: store(load(source, size), target, size)
      case .storeString: store(accumulator, target, size)
      case .loadString:
        let value = load(source, size)
        accumulator = size == 4 ? value : accumulator & ~bits | value
      case .scanString: compare(accumulator & bits, load(target, size), size)
      default: compare(load(source, size), load(target, size), size)
      }
      if [.moveString, .loadString, .compareString].contains(operation) { source &+= step }
      if operation != .loadString { target &+= step }
      if prefix.isEmpty { return }
      count -= 1
      guard operation == .scanString || operation == .compareString else { continue }
      if (flags & RFLAGS.zero.rawValue != 0) != (prefix == .repeated) { return }
    }
  }
}

@Suite struct StringTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  let window = SystemMachine.window
  static let length = 0x4000

  init() throws {
    machine = try SystemMachine()
    // Four linear pages, of which two are the same physical one.
    try machine.map(0, to: 0x10_0000, flags: 3)
    try machine.map(1, to: 0x10_3000, flags: 3)
    try machine.map(2, to: 0x10_1000, flags: 3)
    try machine.map(3, to: 0x10_2000, flags: 3)
  }

  func guestBytes() throws -> [UInt8] {
    try [0x10_0000, 0x10_3000, 0x10_1000, 0x10_2000].flatMap {
      try machine.memory.bytes(at: $0, count: 0x1000)
    }
  }

  func fill(_ bytes: [UInt8]) throws {
    for (page, place) in [UInt64(0x10_0000), 0x10_3000, 0x10_1000, 0x10_2000].enumerated() {
      try machine.memory.write(Array(bytes[page * 0x1000..<(page + 1) * 0x1000]), at: place)
    }
  }

  func string(_ operation: Operation, size: Int, prefix: Prefixes = []) -> Instruction {
    instruction(operation) {
      $0.opcode = size == 1 ? 0xa4 : 0xa5
      $0.operandSize = UInt8(size == 1 ? 4 : size)
      $0.prefixes = prefix
    }
  }

  @Test func `random string instructions do what their elements do one by one`() throws {
    var random = SystemRandomNumberGenerator()
    let operations: [Operation] = [
      .moveString, .storeString, .loadString, .scanString, .compareString,
    ]
    for _ in 0..<3000 {
      let seed = random.next()
      var choice = SeededGenerator(seed: seed)
      let size = [1, 2, 4, 8][choice.below(4)]
      let operation = operations[choice.below(5)]
      let prefix: Prefixes = [[], .repeated, .repeatNotEqual, .repeated][choice.below(4)]
      let count = choice.below(4) == 0 ? choice.below(9) : choice.below(0x1400 / size)
      let down = choice.below(3) == 0
      let reach = max(count, 1) * size
      let start = down ? reach : 0
      let source = start + choice.below(StringTests.length - reach - start - size)
      var target = start + choice.below(StringTests.length - reach - start - size)
      if choice.below(2) == 0 {  // near one another, hence overlapping
        let near = source - 20 + choice.below(40)
        target = min(max(near, start), StringTests.length - reach - size)
      }
      // Few different values, so that comparisons run on for a while.
      let alphabet = choice.below(3) + 1
      var model = StringModel(
        bytes: (0..<StringTests.length).map { _ in UInt8(choice.below(256) / 255 * alphabet) })
      model.source = window + UInt64(source)
      model.target = window + UInt64(target)
      model.count = UInt64(count)
      model.accumulator = choice.below(2) == 0 ? 0 : choice.next()
      try fill(model.bytes)
      processor.cpu.registers[0] = model.accumulator
      processor.cpu.registers[1] = model.count
      processor.cpu.registers[6] = model.source
      processor.cpu.registers[7] = model.target
      processor.cpu.flags = down ? [.fixed, .direction] : .fixed
      #expect(machine.run(string(operation, size: size, prefix: prefix)) == nil)
      model.run(operation, size: size, down: down, prefix: prefix)
      let isSame =
        try guestBytes() == model.bytes && processor.cpu.registers[0] == model.accumulator
        && processor.cpu.registers[1] == model.count && processor.cpu.registers[6] == model.source
        && processor.cpu.registers[7] == model.target
        && processor.cpu.flags.rawValue & RFLAGS.arithmetic.rawValue | 2 == model.flags
      #expect(isSame, "seed \(seed): \(operation) \(size) \(prefix) \(count) \(down)")
      if !isSame { return }
    }
  }

  @Test func `a fault keeps the progress, and the rest follows once the page is there`() throws {
    try machine.map(1, to: 0, flags: 0)
    processor.cpu.registers[0] = 0x55
    processor.cpu.registers[1] = 0x20
    processor.cpu.registers[7] = window + 0xff0
    let store = string(.storeString, size: 1, prefix: .repeated)
    #expect(
      machine.run(store) == GuestFault(.pageFault, errorCode: 2, address: window + 0x1000))
    #expect(processor.cpu.registers[1] == 0x10)
    #expect(processor.cpu.registers[7] == window + 0x1000)
    try machine.map(1, to: 0x10_3000, flags: 3)
    #expect(machine.run(store) == nil)
    #expect(processor.cpu.registers[1] == 0)
    #expect(
      try machine.memory.bytes(at: 0x10_3000, count: 17) == [UInt8](repeating: 0x55, count: 16) + [
        0
      ])
  }

  @Test func `attention interrupts a repeat between pages`() {
    processor.cpu.attention = 1
    processor.cpu.registers[1] = 0x2000
    processor.cpu.registers[7] = window
    let store = string(.storeString, size: 1, prefix: .repeated)
    #expect(machine.run(store) == nil)
    #expect(machine.outcome.last.isJump)
    #expect(processor.cpu.registers[1] == 0x1000)
    #expect(processor.cpu.instructionPointer == 0x5000)
    #expect(machine.run(store) == nil)
    #expect(!machine.outcome.last.isJump)
  }

  @Test func `devices get one element at a time`() throws {
    try machine.map(1, to: 0xd000_0000, flags: 3)
    try machine.memory.store(UInt64(0x1122_3344_5566_7788), at: 0x10_0000)
    processor.cpu.registers[1] = 2
    processor.cpu.registers[6] = window
    processor.cpu.registers[7] = window + 0x1000
    #expect(machine.run(string(.moveString, size: 4, prefix: .repeated)) == nil)
    #expect(machine.environment.readMemory(0xd000_0000, size: 8) == 0x1122_3344_5566_7788)
  }

  @Test func `16-bit addresses wrap inside their registers`() throws {
    machine.enterReal()
    processor.cpu.registers[0] = 0x77
    processor.cpu.registers[1] = 0xabcd_0004
    processor.cpu.registers[7] = 0x1234_fffe
    var store = string(.storeString, size: 1, prefix: .repeated)
    store.addressSize = 2
    #expect(machine.run(store) == nil)
    #expect(processor.cpu.registers[7] == 0x1234_0002)
    #expect(processor.cpu.registers[1] == 0xabcd_0000)
    #expect(try machine.memory.bytes(at: 0xfffe, count: 2) == [0x77, 0x77])
    #expect(try machine.memory.bytes(at: 0, count: 3) == [0x77, 0x77, 0])
  }
}

@Suite struct PortTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  @Test func `IN and OUT move the operand's bytes`() {
    machine.environment.ports[0x71] = 0x1234_5678
    processor.cpu.registers[0] = .max
    let input = instruction(.input) {
      $0.opcode = 0xe4
      $0.operandSize = 4
      $0.immediate = 0x71
      $0.immediateSize = 1
    }
    #expect(machine.run(input) == nil)
    #expect(processor.cpu.registers[0] == 0xffff_ffff_ffff_ff78)
    processor.cpu.registers[2] = 0xffff_0071
    var wide = input
    wide.opcode = 0xed
    wide.immediateSize = 0
    #expect(machine.run(wide) == nil)
    #expect(processor.cpu.registers[0] == 0x1234_5678)
  }

  @Test func `the task state's bitmap lets user code at some ports`() throws {
    try machine.enterUser()
    processor.cpu.registers[2] = 0x13
    let output = instruction(.output) {
      $0.opcode = 0xee
      $0.operandSize = 4
    }
    try machine.memory.store(UInt16(0x68), at: SystemMachine.task + 102)
    #expect(machine.run(output) == .protection)
    processor.cpu[.task].limit = 0x67 + 4
    try machine.memory.store(UInt32(0xffef_ffff & ~(1 << 19)), at: SystemMachine.task + 0x68)
    #expect(machine.run(output) == nil)
    var wide = output
    wide.opcode = 0xef
    #expect(machine.run(wide) == .protection)
    processor.cpu.flags.insert(.ioPrivilege)
    #expect(machine.run(wide) == nil)
    #expect(machine.environment.portWrites.map(\.size) == [1, 4])
  }

  @Test func `REP INS stops for attention and for faults before it loses data`() throws {
    machine.environment.ports[0x1f0] = 0xbeef
    try machine.map(0, to: 0x10_0000, flags: 3)
    processor.cpu.registers[1] = 4
    processor.cpu.registers[2] = 0x1f0
    processor.cpu.registers[7] = SystemMachine.window + 0xffc
    let input = instruction(.inputString) {
      $0.opcode = 0x6d
      $0.operandSize = 2
      $0.prefixes = .repeated
    }
    processor.cpu.attention = 1
    #expect(machine.run(input) == nil)
    #expect(machine.outcome.last.isJump)
    // What fits into the page was read at once.
    #expect(processor.cpu.registers[1] == 2)
    processor.cpu.attention = 0
    #expect(machine.run(input)?.vector == .pageFault)
    #expect(processor.cpu.registers[1] == 2)
    #expect(try machine.memory.load(UInt32.self, at: 0x10_0ffc) == 0xbeef_beef)
  }

  @Test func `REP OUTS writes elements in order`() throws {
    try machine.memory.store(UInt32(0x0403_0201), at: 0x6000)
    processor.cpu.registers[1] = 4
    processor.cpu.registers[2] = 0x3f8
    processor.cpu.registers[6] = 0x6000
    let output = instruction(.outputString) {
      $0.opcode = 0x6e
      $0.prefixes = .repeated
    }
    #expect(machine.run(output) == nil)
    #expect(machine.environment.portWrites.map(\.value) == [1, 2, 3, 4])
    #expect(processor.cpu.registers[6] == 0x6004)
  }
}
