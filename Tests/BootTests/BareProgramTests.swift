import Boot
import GuestMemory
import SeededRandom
import Testing
import X86

@Suite struct BareProgramTests {
  let memory: GuestMemory

  init() throws { memory = try GuestMemory(size: 4 << 20) }

  private func program(_ file: [UInt8], at address: UInt64 = 0) throws(BareError) -> BareProgram {
    try BareProgram(file.span.bytes, at: address)
  }

  private func place(
    _ file: [UInt8], at address: UInt64 = 0, _ mode: BareMode = .protected, start: UInt64? = nil,
    devices: [StartInfo.Device]? = nil
  ) throws(BareError) -> InitialProcessorState {
    try program(file, at: address).place(
      file.span.bytes, in: memory, mode: mode, start: start, devices: devices)
  }

  @Test func `a flat binary goes where it is told and begins with its first byte`() throws {
    let state = try place([0xf4, 0x90], at: 0x7c00, .real)
    #expect(try memory.bytes(at: 0x7c00, count: 2) == [0xf4, 0x90])
    #expect((state.cs.base, state.rip) == (0, 0x7c00))
    #expect(state.cr0 == .extensionType)
    #expect(try program([0xf4]).usualMode == .real)
  }

  @Test func `real mode reaches the whole first megabyte`() throws {
    let state = try place([0xf4], at: 0x2_1234, .real)
    #expect((state.cs.selector, state.cs.base, state.rip) == (0x2000, 0x2_0000, 0x1234))
    #expect(throws: BareError.entryBeyondRealMode(0x10_0000)) {
      try place([0xf4], at: 0x10_0000, .real)
    }
  }

  @Test(arguments: [ELFClass.bits32, .bits64])
  func `an ELF file goes where its headers say`(fileClass: ELFClass) throws {
    let file = Sample.bareELF(fileClass)
    let state = try place(file, devices: [])
    #expect(try program(file).fileClass == fileClass)
    #expect(state.rip == 0x10_0010)
    #expect(try memory.bytes(at: 0x10_0000, count: 4) == [1, 2, 3, 4])
    #expect(try memory.bytes(at: 0x20_0000, count: 4) == [0, 0, 0, 0])
    #expect(try program(file).usualMode == (fileClass == .bits32 ? .protected : .long))
  }

  @Test func `paging maps an address to itself`() throws {
    let paged = try place([0xf4], .paged)
    #expect(paged.cr4 == .pageSizeExtensions)
    let entry = try memory.load(UInt32.self, at: paged.cr3 + 0x340 * 4)
    #expect(entry == 0xd000_0087)

    let long = try place([0xf4], .long)
    let table = try memory.load(UInt64.self, at: long.cr3) & ~0xfff
    let directory = try memory.load(UInt64.self, at: table + 3 * 8) & ~0xfff
    #expect(try memory.load(UInt64.self, at: directory + 0x80 * 8) == 0xd000_0087)
    #expect(long.efer == [.longModeEnable, .longModeActive])
  }

  @Test func `the start structure has the bytes that its page describes`() throws {
    let state = try place(
      Sample.bareELF(.bits32), devices: [.init(base: 0xd000_0000, interrupt: 17)])
    func word(_ address: UInt64) throws -> UInt64 {
      UInt64(try memory.load(UInt32.self, at: address))
    }
    let info = state.rbx
    #expect((state.rax, info) == (0x5355_5041, 0x6000))
    #expect(try word(info) == 0xfec0_0000)
    #expect(try word(info + 20) == 0x5355_5041)
    #expect(try word(info + 24) == 1)
    #expect(try word(info + 12) == 1)
    let device = try word(info + 16)
    #expect(try word(device) == 0xd000_0000)
    #expect(try word(device + 4) == 17)

    let map = try word(info + 8)
    let entries = try (0..<(word(info + 4))).map { index in
      try (0..<4).map { try word(map + index * 16 + $0 * 4) }
    }
    #expect(
      entries == [
        [0, 0x6000, 0, 0], [0x6000, 0x1000, 0, 2], [0x7000, 0xf9000, 0, 0],
        [0x10_0000, 0x1000, 0, 1], [0x10_1000, 0xf_f000, 0, 0], [0x20_0000, 0x5000, 0, 1],
        [0x20_5000, 0x3f_4000 - 0x20_5000, 0, 0], [0x3f_4000, 0xc000, 0, 2],
      ])
  }

  @Test func `programs that have no room are refused`() {
    let large = [UInt8](repeating: 0x90, count: 4 << 20)
    #expect(throws: BareError.outsideMemory(0..<4 << 20, limit: 0x3f_4000)) { try place(large) }
    #expect(throws: BareError.overStartInfo(0..<4 << 13)) {
      try place(Array(large.prefix(4 << 13)), devices: [])
    }
    #expect(throws: BareError.entryOutsideMemory(5 << 20)) { try place([0xf4], start: 5 << 20) }
    #expect(throws: BareError.empty) { try place([]) }
    #expect(throws: BareError.outsideMemory(.max - 1 ..< .max, limit: 0)) {
      try place([1, 2, 3], at: .max - 1)
    }
  }

  @Test func `a damaged ELF file is placed or refused, whatever is wrong`() throws {
    var random = SeededGenerator(seed: 7)
    var placed = 0
    for fileClass in [ELFClass.bits32, .bits64] {
      for _ in 0..<5_000 {
        var file = Sample.bareELF(fileClass)
        for _ in 0...random.next() % 4 {
          let offset = Int(random.next() % 180)
          file[offset] = random.next() % 2 == 0 ? 0xff : UInt8(truncatingIfNeeded: random.next())
        }
        if (try? place(file, devices: [])) != nil { placed += 1 }
      }
    }
    #expect((100..<9_900).contains(placed))
  }
}

extension Sample {
  /// An ELF file of two segments, the second of them empty in the file.
  static func bareELF(_ fileClass: ELFClass) -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 0x300)
    let is32 = fileClass == .bits32
    func put(_ value: UInt64, at offset: Int) {
      if is32 { file.put(UInt32(value), at: offset) } else { file.put(value, at: offset) }
    }
    file.put([0x7f, 0x45, 0x4c, 0x46, is32 ? 1 : 2, 1, 1], at: 0)
    file.put(UInt16(2), at: 16)
    file.put(UInt16(is32 ? 3 : 62), at: 18)
    put(0x10_0010, at: 24)
    let (header, width) = is32 ? (32, 4) : (56, 8)
    let table = is32 ? 52 : 64
    put(UInt64(table), at: is32 ? 28 : 32)
    file.put(UInt16(header), at: is32 ? 42 : 54)
    file.put(UInt16(2), at: is32 ? 44 : 56)
    let segments: [[UInt64]] = [
      [0x200, 0x10_0000, 0x10_0000, 0x100, 0x100], [0x300, 0x20_0000, 0x20_0000, 0, 0x5000],
    ]
    for (index, fields) in segments.enumerated() {
      file.put(UInt32(1), at: table + index * header)
      for (number, field) in fields.enumerated() {
        put(field, at: table + index * header + width * (number + 1))
      }
    }
    file.put([1, 2, 3, 4], at: 0x200)
    return file
  }
}
