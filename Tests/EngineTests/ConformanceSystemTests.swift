import CNative
import Engine
import Foundation
import Testing
import X86

/// Interrupts, system calls and paging.
struct ConformanceSystemTests {
  @Test func `a loop is left for interrupts at any time, and goes on behind them`() throws {
    let guest = try GuestMachine(ConformanceGuests.loop)
    guest.processor.cpu.flags = .init(rawValue: 0x202)
    let environment = guest.environment
    environment.interrupts = [UInt8](repeating: 0x90, count: 50)
    let doorbell = guest.processor.doorbell
    let ringer = Thread {
      for _ in 0..<200_000 where !Thread.current.isCancelled {
        doorbell.ring()
        usleep(20)
      }
    }
    ringer.start()
    var last: UInt64 = 0
    for _ in 0..<50 {
      let end = try guest.run()
      #expect(end.vector == 0x90 && end.offset <= 6)
      let rounds = guest.register(0)
      #expect(rounds >= last)
      // RBX is the sum of all RAX but perhaps the last.
      let sum = rounds &* (rounds &+ 1) / 2
      #expect(guest.register(3) == sum || guest.register(3) == sum &- rounds)
      last = rounds
    }
    ringer.cancel()
  }

  @Test func `interrupts change nothing of a long computation`() throws {
    let alone = try GuestMachine(ConformanceGuests.checksum)
    #expect(try alone.run().vector == 3)
    let guest = try GuestMachine(ConformanceGuests.checksum)
    guest.processor.cpu.flags = .init(rawValue: 0x202)
    guest.environment.interrupts = [UInt8](repeating: 0x90, count: 10_000)
    let doorbell = guest.processor.doorbell
    let ringer = Thread {
      for _ in 0..<200_000 where !Thread.current.isCancelled {
        doorbell.ring()
        usleep(5)
      }
    }
    ringer.start()
    var end = try guest.run()
    while end.vector == 0x90 { end = try guest.run() }
    ringer.cancel()
    #expect(end.vector == 3)
    #expect(guest.register(0) == alone.register(0) && guest.register(3) == alone.register(3))
  }

  @Test func `STI lets one more instruction run before an interrupt`() throws {
    let guest = try GuestMachine(ConformanceGuests.shadow, user: false)
    guest.interrupt(0x90)
    let end = try guest.run()
    #expect(end.vector == 0x90 && end.offset == 3)
    #expect(guest.register(0) & 0xffff_ffff == 1 && guest.register(3) == 0)
  }

  @Test func `interrupts wait while they are disabled`() throws {
    let guest = try GuestMachine(ConformanceGuests.maskedInterrupts, user: false)
    guest.processor.cpu.flags = .init(rawValue: 2)
    guest.interrupt(0x90)
    let end = try guest.run()
    #expect(end.vector == 0x90 && end.offset == 14 && guest.register(1) == 0)
    #expect(try guest.run().vector == nil)
    #expect(guest.register(3) == 1)
  }

  @Test func `HLT is left by an interrupt for the instruction behind it`() throws {
    let guest = try GuestMachine(ConformanceGuests.stiHalt, user: false)
    #expect(try guest.run() == GuestEnd(vector: nil, offset: 2))
    guest.interrupt(0x90)
    let end = try guest.run()
    #expect(end.vector == 0x90 && end.offset == 2)
    #expect(try guest.run() == GuestEnd(vector: nil, offset: 5))
    #expect(guest.register(3) == 1)
  }

  @Test func `SYSCALL enters the kernel and SYSRET leaves it`() throws {
    let guest = try GuestMachine(ConformanceGuests.syscall)
    try guest.memory.write(ConformanceGuests.sysret, at: 0x3_0000)
    guest.processor.cpu.star = 0x0023_0008 << 32
    guest.processor.cpu.longStar = GuestMachine.kernel + 0x3_0000
    guest.processor.cpu.systemCallMask = 0x200
    guest.processor.cpu.flags = .init(rawValue: 0x203)
    let end = try guest.run()
    #expect(end.vector == 3 && end.offset == 10)
    #expect(guest.register(0) == 8 && guest.register(3) == 1)
    #expect(guest.register(1) == GuestMachine.codeLinear + 7)
    #expect(guest.register(11) & 0x201 == 0x201)
  }

  @Test func `reads mark pages accessed and writes mark them dirty`() throws {
    let guest = try GuestMachine(ConformanceGuests.touch)
    #expect(try guest.run().vector == 3)
    #expect(try guest.dataEntry(0) & 0x60 == 0x20)
    #expect(try guest.dataEntry(1) & 0x60 == 0x60)
    #expect(try guest.dataEntry(2) & 0x60 == 0)
  }

  @Test func `INVLPG and a load of CR3 drop what was cached of a page`() throws {
    let guest = try GuestMachine(ConformanceGuests.invlpg, user: false)
    try guest.memory.store(UInt32(0x1111), at: GuestMachine.data[0])
    try guest.memory.store(UInt32(0x2222), at: GuestMachine.data[1])
    #expect(try guest.run().vector == nil)
    #expect(guest.register(0) == 0x1111 && guest.register(3) == 0x2222)
    #expect(guest.register(2) == 0x1111)
  }

  @Test func `SMEP forbids the supervisor to run user pages`() throws {
    let guest = try GuestMachine(ConformanceGuests.smep, user: false)
    let end = try guest.run()
    #expect(end.vector == 14 && end.errorCode == 0x11 && guest.register(3) == 0)
    #expect(end.offset == 11)
  }

  @Test func `SMAP forbids the supervisor user data except between STAC and CLAC`() throws {
    let guest = try GuestMachine(ConformanceGuests.smap, user: false)
    try guest.memory.store(UInt32(77), at: GuestMachine.data[0])
    let end = try guest.run()
    #expect(end.vector == 14 && end.errorCode == 1 && end.offset == 26)
    #expect(guest.register(1) == 77 && guest.register(3) == 1)
  }

  @Test func `locked operations work across a page's end`() throws {
    let guest = try GuestMachine(ConformanceGuests.locked)
    try guest.memory.store(UInt32(40), at: GuestMachine.data[0] + 0xffc)
    #expect(try guest.run().vector == 3)
    #expect(guest.register(1) == 40)
    #expect(guest.register(3) == (44 | 1 << 40) + 1)
    #expect(try guest.memory.load(UInt32.self, at: GuestMachine.data[1]) == 0x100)
  }

  @Test func `x87 and vector registers survive exits`() throws {
    let guest = try GuestMachine(ConformanceGuests.exits, user: false)
    #expect(try guest.run().vector == nil)
    #expect(guest.environment.output == [0x44])
    #expect(guest.register(1) == Double.pi.bitPattern)
  }

  @Test func `the guest's rounding and unmasked exceptions do not reach its devices`() throws {
    let guest = try GuestMachine(ConformanceGuests.rounding, user: false)
    #expect(try guest.run().vector == nil)
    #expect(guest.environment.ratio == 1 / guest.environment.divisor)
    #expect(guest.register(3) == 0x6000)
  }
}
