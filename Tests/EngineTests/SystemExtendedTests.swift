import Engine
import GuestMemory
import Testing
import X86

@Suite struct ExtendedStateTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  static let area: UInt64 = 0x10_0000
  static let other: UInt64 = 0x10_1000

  init() throws {
    machine = try SystemMachine()
    try machine.map(0, to: ExtendedStateTests.area, flags: 3)
    try machine.map(1, to: ExtendedStateTests.other, flags: 3)
  }

  enum Form { case standard, optimized, compact, supervisor }

  func save(_ form: Form, at page: UInt64 = 0, mask: UInt64 = 7, offset: UInt64 = 0) -> GuestFault?
  {
    setMask(mask)
    return machine.run(
      instruction(.saveExtended) {
        $0.opcode = form == .standard || form == .optimized ? 0xae : 0xc7
        $0.modRM = (form == .optimized ? 6 : form == .supervisor ? 5 : 4) << 3
        $0.setMemory(at: SystemMachine.window + page * 0x1000 + offset)
      })
  }

  func restore(_ form: Form = .standard, at page: UInt64 = 0, mask: UInt64 = 7) -> GuestFault? {
    setMask(mask)
    return machine.run(
      instruction(.restoreExtended) {
        $0.opcode = form == .supervisor ? 0xc7 : 0xae
        $0.modRM = (form == .supervisor ? 3 : 5) << 3
        $0.setMemory(at: SystemMachine.window + page * 0x1000)
      })
  }

  func setMask(_ mask: UInt64) {
    processor.cpu.registers[0] = mask
    processor.cpu.registers[2] = 0
  }

  var image: [UInt8] {
    get {
      Array(UnsafeRawBufferPointer(start: processor.extendedArea, count: 832))
    }
    nonmutating set {
      newValue.withUnsafeBytes {
        guard let start = $0.baseAddress else { return }
        processor.extendedArea.copyMemory(from: start, byteCount: $0.count)
      }
    }
  }

  func guest(_ page: UInt64 = 0) throws -> [UInt8] {
    try machine.memory.bytes(at: ExtendedStateTests.area + page * 0x1000, count: 832)
  }

  /// Fills the processor's image with something to recognise, all components present.
  func fillImage() {
    var bytes = (0..<832).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 5 | 1) }
    bytes.replaceSubrange(8..<24, with: [UInt8](repeating: 0, count: 16))
    bytes.replaceSubrange(24..<32, with: [0xa0, 0x1f, 0, 0, 0xff, 0xff, 0, 0])
    bytes.replaceSubrange(416..<576, with: [UInt8](repeating: 0, count: 160))
    bytes[512] = 7
    image = bytes
  }

  /// Puts other values everywhere, except in what says which bits MXCSR has.
  func scramble() {
    var bytes = [UInt8](repeating: 0xee, count: 512) + [7] + [UInt8](repeating: 0, count: 319)
    bytes.replaceSubrange(28..<32, with: [0xff, 0xff, 0, 0])
    image = bytes
  }

  @Test func `a save and restore in every form brings everything back`() throws {
    for (form, restoring) in [
      (Form.standard, Form.standard), (.optimized, .standard), (.compact, .standard),
      (.supervisor, .supervisor),
    ] {
      try machine.memory.write([UInt8](repeating: 0, count: 832), at: ExtendedStateTests.area)
      fillImage()
      let before = image
      #expect(save(form) == nil)
      #expect(image == before)
      let isCompact = form == .compact || form == .supervisor
      #expect(
        try machine.memory.load(UInt64.self, at: ExtendedStateTests.area + 520)
          == (isCompact ? 1 << 63 | 7 : 0))
      scramble()
      #expect(restore(restoring) == nil)
      #expect(Array(image[..<416]) == Array(before[..<416]))
      #expect(Array(image[576...]) == Array(before[576...]))
    }
  }

  @Test func `initial components are marked, and restored from the mark alone`() throws {
    fillImage()
    image[512] = 2
    #expect(save(.standard) == nil)
    let bytes = try guest()
    #expect(bytes[512] == 2)
    #expect(bytes[0] == 0x7f && bytes[1] == 3)
    #expect(bytes[576...].allSatisfy { $0 == 0 })
    fillImage()
    #expect(restore() == nil)
    #expect(image[512] == 2)
    #expect(Array(image[0..<2]) == [0x7f, 3])
    #expect(image[576...].allSatisfy { $0 == 0 })
  }

  @Test func `only the components asked for are touched`() throws {
    fillImage()
    try machine.memory.write([UInt8](repeating: 0xcc, count: 832), at: ExtendedStateTests.area)
    try machine.memory.store(UInt64(5), at: ExtendedStateTests.area + 512)
    #expect(save(.standard, mask: 2) == nil)
    let bytes = try guest()
    #expect(bytes[0..<24].allSatisfy { $0 == 0xcc })
    #expect(Array(bytes[24..<32]) == Array(image[24..<32]))
    #expect(bytes[32..<160].allSatisfy { $0 == 0xcc })
    #expect(Array(bytes[160..<416]) == Array(image[160..<416]))
    #expect(bytes[416..<512].allSatisfy { $0 == 0xcc })
    #expect(bytes[512] == 7)
    #expect(bytes[520..<832].allSatisfy { $0 == 0xcc })
    processor.cpu.xcr0 = 3
    #expect(save(.compact, at: 1) == nil)
    #expect(try machine.memory.load(UInt64.self, at: ExtendedStateTests.other + 512) == 3)
    #expect(try machine.memory.load(UInt64.self, at: ExtendedStateTests.other + 520) == 1 << 63 | 3)
  }

  @Test func `32-bit code sees eight registers`() throws {
    fillImage()
    processor.cpu[.cs].attributes = SegmentAttributes(rawValue: 0xc09b)
    processor.cpu[.ds] = machine.segment(0, 0xc093, Selector.kernelData)
    #expect(save(.standard) == nil)
    let bytes = try guest()
    #expect(Array(bytes[160..<288]) == Array(image[160..<288]))
    #expect(bytes[288..<416].allSatisfy { $0 == 0 })
    try machine.memory.store(UInt64(0), at: ExtendedStateTests.area + 512)
    let before = image
    #expect(restore() == nil)
    #expect(image[160..<288].allSatisfy { $0 == 0 })
    #expect(Array(image[288..<416]) == Array(before[288..<416]))
    #expect(image[512] & 2 == 2)
  }

  @Test func `headers that are wrong are refused before anything is loaded`() throws {
    fillImage()
    let before = image
    let place = ExtendedStateTests.area
    func refuses(_ header: [UInt64], status: UInt32 = 0x1f80) throws -> Bool {
      for index in 0..<8 {
        try machine.memory.store(
          index < header.count ? header[index] : 0, at: place + 512 + UInt64(index) * 8)
      }
      try machine.memory.store(status, at: place + 24)
      return restore() == .protection && image == before
    }
    #expect(try refuses([8]))
    #expect(try refuses([7, 1]))
    #expect(try refuses([7, 0, 1]))
    #expect(try refuses([7], status: 0x1_0000))
    #expect(try refuses([7, 1 << 63 | 3]))
    #expect(try refuses([7, 1 << 63 | 15]))
    #expect(try refuses([7, 1 << 63 | 7, 0, 0, 0, 0, 0, 1]))
    #expect(restore(.supervisor) == .protection)
    #expect(try !refuses([7, 0, 0, 1]))
  }

  @Test func `MXCSR follows SSE in the compacted format, and is always loaded in the other`() throws
  {
    fillImage()
    try machine.memory.store(UInt32(0x1fa5), at: ExtendedStateTests.area + 24)
    #expect(restore() == nil)
    #expect(processor.controlStatus == 0x1fa5)
    try machine.memory.store(UInt64(1) << 63 | 7, at: ExtendedStateTests.area + 520)
    #expect(restore() == nil)
    #expect(processor.controlStatus == 0x1f80)
    processor.controlStatus = 0x1fa0
    #expect(save(.compact) == nil)
    #expect(try machine.memory.load(UInt64.self, at: ExtendedStateTests.area + 512) == 2)
  }

  @Test func `they fault on alignment, absent pages, CR0.TS and without OSXSAVE`() throws {
    #expect(save(.standard, offset: 32) == .protection)
    try machine.map(1, to: 0, flags: 0)
    #expect(save(.standard, offset: 0xe00)?.vector == .pageFault)
    #expect(try machine.memory.load(UInt64.self, at: ExtendedStateTests.area + 0xe00) == 0)
    processor.cpu.cr0.insert(.taskSwitched)
    #expect(save(.standard) == GuestFault(.deviceNotAvailable))
    processor.cpu.cr4.remove(.xsave)
    #expect(save(.standard) == .undefined)
  }

  @Test func `FXSAVE and FXRSTOR`() throws {
    func legacy(_ operation: Operation, _ offset: UInt64 = 0) -> GuestFault? {
      machine.run(
        instruction(operation) { $0.setMemory(at: SystemMachine.window + offset) })
    }
    fillImage()
    let before = image
    #expect(legacy(.saveFloating, 8) == .protection)
    #expect(legacy(.saveFloating) == nil)
    #expect(Array(try guest()[..<416]) == Array(before[..<416]))
    scramble()
    image[512] = 0
    #expect(legacy(.restoreFloating) == nil)
    #expect(Array(image[..<416]) == Array(before[..<416]))
    #expect(image[512] == 3)
    try machine.memory.store(UInt32(0xffff_ffff), at: ExtendedStateTests.area + 24)
    #expect(legacy(.restoreFloating) == .protection)
  }
}

@Suite struct DecimalTests {
  let machine: SystemMachine
  var processor: Processor { machine.processor }
  init() throws { machine = try SystemMachine() }

  /// AX and flags after an instruction on AX and flags.
  func run(_ opcode: UInt8, _ value: UInt64, _ flags: RFLAGS = [], _ operand: Int64 = 10)
    -> (UInt64, RFLAGS)?
  {
    processor.cpu.registers[0] = value
    processor.cpu.flags = flags
    let fault = machine.run(
      instruction(.decimal) {
        $0.opcode = opcode
        $0.immediate = operand
      })
    return fault == nil ? (processor.cpu.registers[0], processor.cpu.flags) : nil
  }

  @Test func `DAA and DAS on packed digits`() throws {
    for left in 0..<100 {
      for right in 0..<100 {
        let (a, b) = (left / 10 * 16 + left % 10, right / 10 * 16 + right % 10)
        var flags: RFLAGS = (a & 15) + (b & 15) > 15 ? .auxiliary : []
        if a + b > 255 { flags.insert(.carry) }
        let sum = try #require(run(0x27, UInt64(a + b) & 0xff, flags))
        let digits = (left + right) % 100
        #expect(sum.0 == UInt64(digits / 10 * 16 + digits % 10))
        #expect(sum.1.contains(.carry) == (left + right > 99))
        flags = a & 15 < b & 15 ? .auxiliary : []
        if a < b { flags.insert(.carry) }
        let difference = try #require(run(0x2f, UInt64(bitPattern: Int64(a - b)) & 0xff, flags))
        let rest = (left - right + 100) % 100
        #expect(difference.0 == UInt64(rest / 10 * 16 + rest % 10))
        #expect(difference.1.contains(.carry) == (left < right))
      }
    }
  }

  @Test func `unpacked digits`() throws {
    #expect(try #require(run(0x37, 0x010f)).0 == 0x0205)
    #expect(try #require(run(0x3f, 0x0108, .auxiliary)).0 == 0x0002)
    #expect(try #require(run(0xd4, 0x1234)).0 == 0x0502)
    #expect(run(0xd4, 0x1234, [], 0) == nil)
    #expect(try #require(run(0xd5, 0x0502)).0 == 0x0034)
    #expect(try #require(run(0xd6, 0, .carry)).0 == 0xff)
  }
}
