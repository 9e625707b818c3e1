import Engine
import Glibc
import Host
import Testing
import X86

/// Pages of this process that can be made unreachable.
private final class HostPages: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let size: Int

  init(_ count: Int) throws {
    size = count * 4096
    let flags = MAP_PRIVATE | MAP_ANONYMOUS
    base = try #require(mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0))
  }

  deinit { munmap(base, size) }

  var address: UInt64 { UInt64(UInt(bitPattern: base)) }

  func protect(_ page: Int, _ protection: CInt) { mprotect(base + page * 4096, 4096, protection) }

  func slot(
    _ number: UInt32, at guest: UInt64, isReadOnly: Bool = false, isLogging: Bool = false
  ) -> PhysicalMemorySlot {
    PhysicalMemorySlot(
      number, guestAddress: guest, size: UInt64(size), hostAddress: address,
      flags: (isReadOnly, isLogging))
  }
}

@Suite(.timeLimit(.minutes(2))) struct SlotTests {
  private static let start: UInt64 = 0x1_0000
  private static let extra: UInt64 = 0x100_0000
  /// mov [rdi], eax; mov eax, [rdi]; hlt
  private static let storeAndLoad: [UInt8] = [0x89, 0x07, 0x8b, 0x07, 0xf4]

  /// A processor about to run `code` with RDI in the slot under test.
  private func processor(_ team: ProcessorTeam, _ code: [UInt8]) throws -> Processor {
    try team.memory.write(code, at: Self.start)
    let processor = try team.makeProcessor()
    processor.cpu.instructionPointer = Self.start
    processor.cpu.registers[4] = 0x80_0000
    processor.cpu.registers[7] = Self.extra
    return processor
  }

  private func error(_ body: () throws(SystemError) -> Void) -> Int32? {
    do throws(SystemError) {
      try body()
      return nil
    } catch {
      return error.errno
    }
  }

  @Test func `a slot that is added is seen by a processor that runs, and one that goes is not`()
    throws
  {
    // L: mov eax, [rdi]; cmp eax, 42; jne L; hlt
    let code: [UInt8] = [0x8b, 7, 0x83, 0xf8, 42, 0x0f, 0x85, 0xf5, 0xff, 0xff, 0xff, 0xf4]
    let team = try ProcessorTeam()
    let pages = try HostPages(2)
    pages.base.storeBytes(of: 42, as: UInt32.self)
    for _ in 0..<10 {
      let changer = try HostThread(named: "changer") {
        usleep(2000)
        try? team.group.setSlot(pages.slot(7, at: Self.extra))
      }
      let ends = try team.run([GuestThread(code, at: Self.start, [7: Self.extra])])
      changer.join()
      #expect(ends[0].count == 16)
      #expect(error { () throws(SystemError) in try team.group.removeSlot(7) } == nil)
    }
    let processor = try processor(team, Self.storeAndLoad)
    #expect(processor.runGuest() == .halted)
    #expect(processor.cpu.registers[0] == 0xffff_ffff)
  }

  @Test func `slots move, and do not overlap`() throws {
    let team = try ProcessorTeam()
    let (pages, others) = (try HostPages(2), try HostPages(1))
    let group = team.group
    pages.base.storeBytes(of: 7, as: UInt32.self)
    func set(_ slot: PhysicalMemorySlot) -> Int32? {
      error { () throws(SystemError) in try group.setSlot(slot) }
    }
    #expect(set(pages.slot(7, at: Self.extra)) == nil)
    #expect(set(others.slot(8, at: Self.extra + 0x1000)) == EEXIST)
    #expect(set(others.slot(8, at: 0x1000)) == EEXIST)
    #expect(set(others.slot(7, at: Self.extra)) == EINVAL)
    #expect(set(pages.slot(7, at: Self.extra, isReadOnly: true)) == EINVAL)
    #expect(set(others.slot(8, at: Self.extra + 0x2000)) == nil)
    #expect(set(pages.slot(7, at: Self.extra + 0x1000)) == EEXIST)
    #expect(set(pages.slot(7, at: Self.extra + 0x4000)) == nil)
    let processor = try processor(team, [0x8b, 0x07, 0xf4])
    #expect(processor.runGuest() == .halted)
    #expect(processor.cpu.registers[0] == 0xffff_ffff)
    processor.cpu.registers[7] += 0x4000
    processor.cpu.instructionPointer = Self.start
    #expect(processor.runGuest() == .halted)
    #expect(processor.cpu.registers[0] == 7)
    #expect(error { () throws(SystemError) in try group.removeSlot(9) } == EINVAL)
  }

  @Test func `code in a slot that goes away is not run any more`() throws {
    let team = try ProcessorTeam()
    let (old, new) = (try HostPages(1), try HostPages(1))
    for (pages, value) in [(old, UInt8(1)), (new, 2)] {
      // mov eax, value; hlt
      pages.base.copyMemory(from: [0xb8, value, 0, 0, 0, 0xf4], byteCount: 6)
    }
    let processor = try processor(team, [])
    for (pages, value) in [(old, UInt64(1)), (new, 2)] {
      try team.group.setSlot(pages.slot(7, at: Self.extra))
      processor.cpu.instructionPointer = Self.extra
      #expect(processor.runGuest() == .halted)
      #expect(processor.cpu.registers[0] == value)
      try team.group.removeSlot(7)
    }
  }

  @Test func `writes to read-only memory go to devices`() throws {
    let team = try ProcessorTeam()
    let pages = try HostPages(1)
    pages.base.storeBytes(of: 5, as: UInt32.self)
    try team.group.setSlot(pages.slot(7, at: Self.extra, isReadOnly: true))
    let processor = try processor(team, Self.storeAndLoad)
    processor.cpu.registers[0] = 9
    #expect(processor.runGuest() == .halted)
    #expect(processor.cpu.registers[0] == 5)
  }

  @Test func `the log has what was written since it was read`() throws {
    let team = try ProcessorTeam()
    let pages = try HostPages(130)
    try team.group.setSlot(pages.slot(7, at: Self.extra, isLogging: true))
    func written(_ forgetting: Bool = true) -> [UInt64]? {
      team.group.writtenPages(ofSlot: 7, forgetting: forgetting)
    }
    // ECX times: mov byte [rdi], 1; add rdi, 8192; hlt
    let touch: [UInt8] = [
      0xc6, 0x07, 0x01, 0x48, 0x81, 0xc7, 0, 0x20, 0, 0, 0xff, 0xc9, 0x0f, 0x85, 0xee, 0xff, 0xff,
      0xff, 0xf4,
    ]
    let processor = try processor(team, touch)
    #expect(written() == [0, 0, 0])
    for _ in 0..<3 {
      processor.cpu.instructionPointer = Self.start
      processor.cpu.registers[1] = 65
      processor.cpu.registers[7] = Self.extra
      #expect(processor.runGuest() == .halted)
      let even: UInt64 = 0x5555_5555_5555_5555
      #expect(written(false) == [even, even, 1])
      #expect(team.group.forgetWrittenPages(ofSlot: 7, [even], from: 64))
      #expect(written() == [even, 0, 1])
      #expect(written() == [0, 0, 0])
    }
    try team.group.setSlot(pages.slot(7, at: Self.extra))
    #expect(written() == nil)
  }

  @Test(arguments: [PROT_NONE, PROT_READ])
  func `memory that cannot be written ends the run, which can be taken up again`(
    protection: CInt
  ) throws {
    let team = try ProcessorTeam()
    let pages = try HostPages(2)
    try team.group.setSlot(pages.slot(7, at: Self.extra))
    pages.protect(1, protection)
    let processor = try processor(team, Self.storeAndLoad)
    processor.cpu.registers[7] = Self.extra + 0x1010
    processor.cpu.registers[0] = 77
    for _ in 0..<2 {
      #expect(processor.runGuest() == .badMemory)
      #expect(processor.badAddress == Self.extra + 0x1010)
      #expect(processor.cpu.instructionPointer == Self.start)
      #expect(processor.cpu.registers[0] == 77)
    }
    pages.protect(1, PROT_READ | PROT_WRITE)
    #expect(processor.runGuest() == .halted)
    #expect(pages.base.load(fromByteOffset: 0x1010, as: UInt32.self) == 77)
  }

  @Test func `string instructions stop where memory ends, and go on from there`() throws {
    let team = try ProcessorTeam()
    let pages = try HostPages(2)
    try team.group.setSlot(pages.slot(7, at: Self.extra))
    for (code, size) in [([0xf3, 0xab, 0xf4] as [UInt8], UInt64(4)), ([0xf3, 0xa4, 0xf4], 1)] {
      pages.protect(1, PROT_NONE)
      let processor = try processor(team, code)
      processor.cpu.registers[0] = 0x0102_0304
      processor.cpu.registers[1] = 1024
      processor.cpu.registers[6] = 0x20_0000
      processor.cpu.registers[7] = Self.extra + 0x1000 - 16 * size
      #expect(processor.runGuest() == .badMemory)
      #expect(processor.cpu.instructionPointer == Self.start)
      #expect(processor.cpu.registers[1] == 1008)
      #expect(processor.cpu.registers[7] == Self.extra + 0x1000)
      #expect(processor.cpu.registers[6] == 0x20_0000 + (size == 1 ? 16 : 0))
      pages.protect(1, PROT_READ | PROT_WRITE)
      #expect(processor.runGuest() == .halted)
      #expect(processor.cpu.registers[1] == 0)
      #expect(processor.cpu.registers[0] == 0x0102_0304)
    }
  }

  @Test func `page tables and code in memory that cannot be read end the run`() throws {
    let team = try ProcessorTeam()
    let pages = try HostPages(1)
    try team.group.setSlot(pages.slot(7, at: Self.extra))
    pages.protect(0, PROT_NONE)
    let processor = try processor(team, [0xf4])
    processor.cpu.instructionPointer = Self.extra
    #expect(processor.runGuest() == .badMemory)
    processor.cpu.instructionPointer = Self.start
    processor.cpu.cr3 = Self.extra
    processor.stateWasReplaced()
    #expect(processor.runGuest() == .badMemory)
    processor.cpu.cr3 = 0x1000
    processor.stateWasReplaced()
    #expect(processor.runGuest() == .halted)
  }
}
