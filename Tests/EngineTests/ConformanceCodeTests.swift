import CNative
import Engine
import Testing
import X86

/// Code that changes, by the guest's own stores or by others.
struct ConformanceCodeTests {
  @Test func `a store into the running block is seen by the next instructions`() throws {
    let guest = try GuestMachine(ConformanceGuests.sameBlock, user: false)
    #expect(try guest.run().vector == nil)
    #expect(guest.register(1) == 42 && guest.register(3) == 1)
  }

  @Test func `a loop that patches itself sees each change`() throws {
    let guest = try GuestMachine(ConformanceGuests.nextBlock, user: false)
    #expect(try guest.run().vector == nil)
    #expect(guest.register(6) == 1 + 5 + 5)
  }

  @Test func `a store through another address of the page is seen`() throws {
    let guest = try GuestMachine(ConformanceGuests.alias, user: false)
    #expect(try guest.run().vector == nil)
    #expect(guest.register(1) == 10)
  }

  @Test func `an instruction across two pages is translated anew when its second page changes`()
    throws
  {
    let guest = try GuestMachine(ConformanceGuests.straddle, user: false)
    #expect(try guest.run().vector == nil)
    #expect(guest.register(0) == 0x0101_0101 + 0x0201_0101)
  }

  @Test func `what others write is seen once the engine is told`() throws {
    let guest = try GuestMachine(ConformanceGuests.hostWrite, user: false)
    for value in UInt32(1)...5 {
      try guest.memory.store(value, at: GuestMachine.code + 1)
      guest.processor.group.memoryChanged(at: GuestMachine.code + 1, count: 4)
      guest.processor.cpu.instructionPointer = GuestMachine.codeLinear
      #expect(try guest.run().vector == nil)
      #expect(guest.register(0) == UInt64(value))
    }
  }

  @Test func `many programs in one place, each in place of the last`() throws {
    let guest = try GuestMachine([0xf4], user: false)
    for round in 0..<5000 {
      // A chain of short blocks: mov ecx, round; jmp +0 … ; hlt
      let count = UInt64(round)
      let body = [0xb9] + Snippet.littleEndian(count, 4) + [0xeb, 0x00, 0xeb, 0x00, 0xf4]
      let place = UInt64(round * 7 % 8000)
      try guest.memory.write(body, at: GuestMachine.code + place)
      guest.processor.group.memoryChanged(at: GuestMachine.code + place, count: body.count)
      guest.processor.cpu.instructionPointer = GuestMachine.codeLinear + place
      #expect(try guest.run().vector == nil)
      #expect(guest.register(1) == count)
    }
  }
}
