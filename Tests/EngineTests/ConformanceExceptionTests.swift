import CNative
import Engine
import Testing
import X86

/// Exceptions: the vector, the error code, CR2, and the state at the instruction that faults.
struct ConformanceExceptionTests {
  @Test func `a division by zero in the middle of a block leaves the state before it`() throws {
    let guest = try GuestMachine(ConformanceGuests.division)
    let end = try guest.run()
    #expect(end.vector == 0 && end.offset == 11)
    #expect(guest.register(0) == 5 && guest.register(3) == 1)
  }

  @Test func `UD2, INT3, INT and forbidden instructions end with their vectors`() throws {
    #expect(try GuestMachine([0x0f, 0x0b]).run().vector == 6)
    let breakpoint = try GuestMachine([0x90, 0xcc]).run()
    #expect(breakpoint.vector == 3 && breakpoint.offset == 2)
    let allowed = try GuestMachine([0xcd, 0x81]).run()
    #expect(allowed.vector == 0x81 && allowed.offset == 2)
    let forbidden = try GuestMachine([0xcd, 0x20]).run()
    #expect(forbidden.vector == 13 && forbidden.errorCode == 0x102 && forbidden.offset == 0)
    let halt = try GuestMachine([0x90, 0xf4]).run()
    #expect(halt.vector == 13 && halt.errorCode == 0 && halt.offset == 1)
  }

  @Test func `addresses that are not aligned or not canonical are protection faults`() throws {
    let misaligned = try GuestMachine(ConformanceGuests.misaligned)
    let end = try misaligned.run()
    #expect(end.vector == 13 && end.offset == 7 && misaligned.register(3) == 1)
    let data = try GuestMachine(ConformanceGuests.nopSlideCall).run()
    #expect(data.vector == 13 && data.offset == 12)
    let stack = try GuestMachine(ConformanceGuests.stackFault).run()
    #expect(stack.vector == 12 && stack.offset == 12)
    let jump = try GuestMachine(ConformanceGuests.jumpAway)
    let away = try jump.run()
    #expect(away.vector == 13 && away.offset == 13)
    #expect(try jump.savedStack() == GuestMachine.dataLinear + 0x17f8)
  }

  @Test func `page faults say what was tried, and where`() throws {
    let absent = try GuestMachine(ConformanceGuests.readAbsent)
    let read = try absent.run()
    #expect(read.vector == 14 && read.errorCode == 4 && read.offset == 7)
    #expect(absent.processor.cpu.cr2 == 0x2000_3008)
    let readOnly = try GuestMachine(ConformanceGuests.writeReadOnly)
    let write = try readOnly.run()
    #expect(write.vector == 14 && write.errorCode == 7 && write.offset == 7)
    #expect(readOnly.processor.cpu.cr2 == 0x2000_2ffc)
    let crossing = try GuestMachine(ConformanceGuests.crossing)
    #expect(try crossing.run().errorCode == 4)
    #expect(crossing.processor.cpu.cr2 == 0x2000_3000)
    let execute = try GuestMachine(ConformanceGuests.execData)
    let fetch = try execute.run()
    #expect(fetch.vector == 14 && fetch.errorCode == 0x15)
    #expect(execute.processor.cpu.cr2 == 0x2000_0010)
  }

  @Test func `the supervisor writes to read-only pages unless WP is set`() throws {
    let guarded = try GuestMachine(ConformanceGuests.writeReadOnly, user: false)
    #expect(try guarded.run().errorCode == 3)
    let free = try GuestMachine(ConformanceGuests.writeReadOnly + [0xf4], user: false)
    free.processor.cpu.cr0.remove(.writeProtect)
    #expect(try free.run().vector == nil)
    #expect(try free.memory.load(UInt32.self, at: GuestMachine.data[2] + 0xffc) == 1)
  }

  @Test func `unmasked floating-point exceptions come at the instruction that reports them`() throws
  {
    let x87 = try GuestMachine(ConformanceGuests.x87)
    let floating = try x87.run()
    #expect(floating.vector == 16 && floating.offset == 18 && x87.register(3) == 1)
    let simd = try GuestMachine(ConformanceGuests.simd)
    simd.processor.extendedArea.storeBytes(of: Float(1), toByteOffset: 176, as: Float.self)
    simd.processor.extendedArea.storeBytes(of: 3, toByteOffset: 512, as: UInt64.self)
    let packed = try simd.run()
    #expect(packed.vector == 19 && packed.offset == 11 && simd.register(3) == 1)
  }

  @Test func `TS makes vector instructions trap until CLTS`() throws {
    let trapped = try GuestMachine(ConformanceGuests.trapSwitched, user: false)
    let end = try trapped.run()
    #expect(end.vector == 7 && end.offset == 10 && trapped.register(3) == 1)
    let cleared = try GuestMachine(ConformanceGuests.clts, user: false)
    cleared.processor.cpu.cr0.insert(.taskSwitched)
    #expect(try cleared.run().vector == nil)
  }

  @Test func `TF stops after every instruction, and once for each round of a repeated one`() throws
  {
    let guest = try GuestMachine(ConformanceGuests.steps)
    guest.processor.cpu.registers[1] = 3
    guest.processor.cpu.registers[6] = GuestMachine.dataLinear
    guest.processor.cpu.registers[7] = GuestMachine.dataLinear + 0x100
    guest.processor.cpu.flags = .init(rawValue: 0x102)
    var offsets: [UInt64] = []
    var end = try guest.run()
    while end.vector == 1, offsets.count < 20 {
      offsets.append(end.offset)
      end = try guest.run()
    }
    #expect(offsets == [5, 8, 11, 12, 13, 13, 13, 15])
    #expect(end.vector == 3)
    #expect(guest.processor.cpu.debugRegisters[6] & 1 << 14 != 0)
  }

  @Test func `a repeated move that faults goes on where it was`() throws {
    let guest = try GuestMachine(ConformanceGuests.repMove)
    let bytes = (0..<256).map { UInt8($0) }
    try guest.memory.write(bytes, at: GuestMachine.data[0] + 0x100)
    // The page that the target runs into is not there yet.
    try guest.memory.store(UInt64(0), at: GuestMachine.dataTable + 16)
    let end = try guest.run()
    #expect(end.vector == 14 && end.errorCode == 6 && end.offset == 15)
    #expect(guest.processor.cpu.cr2 == 0x2000_2000)
    #expect(guest.register(1) == 0x80 && guest.register(6) == 0x2000_0180)
    #expect(guest.register(7) == 0x2000_2000)
    try guest.memory.store(GuestMachine.data[2] | 7, at: GuestMachine.dataTable + 16)
    #expect(try guest.run().vector == 3)
    #expect(
      try guest.memory.bytes(at: GuestMachine.data[1] + 0xf80, count: 128)
        == bytes[..<128].map { $0 })
    #expect(
      try guest.memory.bytes(at: GuestMachine.data[2], count: 128) == bytes[128...].map { $0 })
  }
}

extension GuestMachine {
  /// RSP in the last exception's frame.
  func savedStack() throws -> UInt64? {
    try frame().map { try memory.load(UInt64.self, at: $0.pointer + 24) }
  }
}

extension ConformanceExceptionTests {
  @Test func `a masked load reads the elements it selects up to the end of memory`() throws {
    // vpmaskmovd ymm1, ymm0, [rax]; vmovdqu [rbx], ymm1; int3
    let guest = try GuestMachine([
      0xc4, 0xe2, 0x7d, 0x8c, 0x08, 0xc5, 0xfe, 0x7f, 0x0b, 0xcc,
    ])
    let area = guest.processor.extendedArea
    area.storeBytes(of: 3, toByteOffset: 512, as: UInt64.self)
    for element in 0..<3 {
      area.storeBytes(of: UInt32.max, toByteOffset: 160 + 4 * element, as: UInt32.self)
      try guest.memory.store(
        0xff00_0001 + UInt32(element), at: GuestMachine.data[2] + 0xff4 + UInt64(4 * element))
    }
    guest.processor.cpu.registers[0] = GuestMachine.dataLinear + 0x2ff4
    guest.processor.cpu.registers[3] = GuestMachine.dataLinear
    #expect(try guest.run().vector == 3)
    let words = try (0..<8).map {
      try guest.memory.load(UInt32.self, at: GuestMachine.data[0] + UInt64(4 * $0))
    }
    #expect(words == [0xff00_0001, 0xff00_0002, 0xff00_0003, 0, 0, 0, 0, 0])
  }
}
