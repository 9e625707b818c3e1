import Foundation
import GuestMemory
import KVM
import KVMSoft
import Testing
import X86

/// Exits of the engine as values.
@Suite struct SoftExitTests {
  /// in al, 0x71; inc al; out 0x80, al; hlt
  private static let echo: [UInt8] = [0xe4, 0x71, 0xfe, 0xc0, 0xe6, 0x80, 0xf4]

  @Test func `ports are exits, and the answer is what the guest reads`() throws {
    let cpu = try SoftGuest(Self.echo).start()
    #expect(try cpu.run() == .portRead(0x71, size: 1))
    #expect(try cpu.registers().rip == 0x1000)
    cpu.answer(0x41)
    #expect(try cpu.run() == .portWrite(0x80, value: 0x42, size: 1))
    #expect(try cpu.run() == .stopped(.halted))
    #expect(try cpu.registers().rip == 0x1007)
  }

  @Test func `any instruction can use a device's memory`() throws {
    // mov ax, 0xf000; mov ds, ax; mov es, ax; add [0xfff0], ax; (memory ends at 0x80000)
    // mov bx, 0x1234; xchg [0xfff0], bx; push word [0xfff4]; hlt
    let code: [UInt8] = [
      0xb8, 0x00, 0xf0, 0x8e, 0xd8, 0x8e, 0xc0, 0x01, 0x06, 0xf0, 0xff, 0xbb, 0x34, 0x12, 0x87,
      0x1e,
      0xf0, 0xff, 0xff, 0x36, 0xf4, 0xff, 0xf4,
    ]
    let guest = try SoftGuest(code, memorySize: 0x80000)
    let cpu = try guest.start()
    #expect(try cpu.run() == .memoryRead(0xffff0, size: 2))
    #expect(try cpu.registers().rip == 0x1007)
    cpu.answer(0x0101)
    #expect(try cpu.run() == .memoryWrite(0xffff0, value: 0xf101, size: 2))
    #expect(try cpu.run() == .memoryRead(0xffff0, size: 2))
    cpu.answer(0x5678)
    #expect(try cpu.run() == .memoryWrite(0xffff0, value: 0x1234, size: 2))
    #expect(try cpu.registers().rbx == 0x5678)
    #expect(try cpu.run() == .memoryRead(0xffff4, size: 2))
    cpu.answer(0x9abc)
    #expect(try cpu.run() == .stopped(.halted))
    #expect(try guest.memory.load(UInt16.self, at: 0x8ffe) == 0x9abc)
  }

  @Test func `wide accesses are exits of eight bytes`() throws {
    // movups xmm0, [0]; movups [0x10], xmm0; hlt
    let code: [UInt8] = [0x0f, 0x10, 0x06, 0, 0, 0x0f, 0x11, 0x06, 0x10, 0, 0xf4]
    let cpu = try SoftGuest(code, memorySize: 0x80000).start()
    var special = try cpu.specialRegisters()
    special.ds = .realMode(selector: 0xf000)
    special.cr4.insert(.fxsr)
    try cpu.setSpecialRegisters(special)
    #expect(try cpu.run() == .memoryRead(0xf0000, size: 8))
    cpu.answer(0x1111)
    #expect(try cpu.run() == .memoryRead(0xf0008, size: 8))
    cpu.answer(0x2222)
    #expect(try cpu.run() == .memoryWrite(0xf0010, value: 0x1111, size: 8))
    #expect(try cpu.run() == .memoryWrite(0xf0018, value: 0x2222, size: 8))
    #expect(try cpu.run() == .stopped(.halted))
  }

  @Test func `a doorbell ends the run after the access and before the next`() throws {
    let cpu = try SoftGuest(Self.echo).start()
    _ = try cpu.run()
    cpu.answer(7)
    cpu.doorbell.ring()
    #expect(try cpu.run() == .stopped(.interrupted))
    let registers = try cpu.registers()
    #expect(registers.rip == 0x1002 && registers.rax & 0xff == 7)
    #expect(try cpu.run() == .portWrite(0x80, value: 8, size: 1))
  }

  @Test func `a doorbell ends the run after an access to memory`() throws {
    // mov ax, 0xf000; mov ds, ax; mov al, [0]; mov [1], al; hlt
    let code: [UInt8] = [0xb8, 0, 0xf0, 0x8e, 0xd8, 0xa0, 0, 0, 0xa2, 1, 0, 0xf4]
    let cpu = try SoftGuest(code, memorySize: 0x80000).start()
    #expect(try cpu.run() == .memoryRead(0xf0000, size: 1))
    cpu.answer(9)
    cpu.doorbell.ring()
    #expect(try cpu.run() == .stopped(.interrupted))
    #expect(try cpu.registers().rip == 0x1008)
    #expect(try cpu.run() == .memoryWrite(0xf0001, value: 9, size: 1))
    cpu.doorbell.ring()
    #expect(try cpu.run() == .stopped(.interrupted))
    #expect(try cpu.registers().rip == 0x100b)
  }

  @Test func `registers set at an exit are those that the instruction completes with`() throws {
    let cpu = try SoftGuest(Self.echo).start()
    _ = try cpu.run()
    var registers = try cpu.registers()
    registers.rax = 0x1234
    registers.rbx = 5
    try cpu.setRegisters(registers)
    cpu.answer(0x41)
    _ = try cpu.run()
    registers = try cpu.registers()
    #expect(registers.rax == 0x1242 && registers.rbx == 5)
  }

  @Test func `registers of another place abandon the instruction`() throws {
    let cpu = try SoftGuest(Self.echo).start()
    _ = try cpu.run()
    var registers = try cpu.registers()
    (registers.rip, registers.rax) = (0x1004, 3)
    try cpu.setRegisters(registers)
    cpu.answer(0x41)
    #expect(try cpu.run() == .portWrite(0x80, value: 3, size: 1))
  }

  @Test func `special registers may be set at an exit`() throws {
    let cpu = try SoftGuest(Self.echo).start()
    _ = try cpu.run()
    cpu.answer(0x10)
    try cpu.setSpecialRegisters(try cpu.specialRegisters())
    #expect(try cpu.registers().rip == 0x1002)
    #expect(try cpu.run() == .portWrite(0x80, value: 0x11, size: 1))
  }

  @Test func `a processor may be let go in the middle of an instruction`() throws {
    let guest = try SoftGuest(Self.echo)
    weak var gone: SoftCPU?
    do {
      let cpu = try guest.start()
      gone = cpu
      _ = try cpu.run()
    }
    #expect(gone == nil)
  }

  @Test func `another thread may go on with the run`() throws {
    final class Box: @unchecked Sendable {
      let cpu: SoftCPU
      var exit: Exit?
      init(_ cpu: SoftCPU) { self.cpu = cpu }
    }
    let box = Box(try SoftGuest(Self.echo).start())
    for expected in [
      Exit.portRead(0x71, size: 1), .portWrite(0x80, value: 0, size: 1), .stopped(.halted),
    ] {
      let thread = Thread { box.exit = try? box.cpu.run() }
      thread.start()
      while !thread.isFinished { usleep(1000) }
      #expect(box.exit == expected)
    }
  }

  @Test func `floating point survives what the caller does with it`() throws {
    // fninit; fld1; fldpi; out 0x80, al; fstp qword [0x3000]; fstp qword [0x3008]; hlt
    let code: [UInt8] = [
      0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xeb, 0xe6, 0x80, 0xdd, 0x1e, 0, 0x30, 0xdd, 0x1e, 8, 0x30,
      0xf4,
    ]
    let guest = try SoftGuest(code)
    let cpu = try guest.start()
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    var sum: Float80 = 0
    for index in 0..<100 { sum += Float80(index) / Float80(threadTime()) }
    #expect(sum > 0)
    #expect(try cpu.run() == .stopped(.halted))
    #expect(Double(bitPattern: try guest.memory.load(UInt64.self, at: 0x3000)) == .pi)
    #expect(Double(bitPattern: try guest.memory.load(UInt64.self, at: 0x3008)) == 1)
  }

  @Test func `the guest's interrupt window ends the run`() throws {
    // sti; nop; jmp $
    let cpu = try SoftGuest([0xfb, 0x90, 0xeb, 0xfe]).start()
    cpu.requestInterruptWindow(true)
    #expect(try cpu.run() == .stopped(.interruptWindow))
    // The instruction after STI takes none.
    #expect(try cpu.registers().rip == 0x1002)
  }

  @Test(
    arguments: [
      // out 0x80, al; jmp back     |  mov [0], al; jmp back, with DS in a hole
      ("port", [0xe6, 0x80, 0xeb, 0xfc]), ("memory", [0xa2, 0, 0, 0xeb, 0xfb]),
    ] as [(String, [UInt8])])
  func `an exit and the way back take less than 2 µs`(kind: String, code: [UInt8]) throws {
    let cpu = try SoftGuest(code, memorySize: 0x80000).start()
    var special = try cpu.specialRegisters()
    special.ds = .realMode(selector: 0xf000)
    try cpu.setSpecialRegisters(special)
    for _ in 0..<1000 { _ = try cpu.run() }
    var best = Double.infinity
    // Short stretches: one of them is not disturbed by whatever else runs.
    for _ in 0..<100 {
      let count = 1000
      let start = threadTime()
      for _ in 0..<count { _ = try cpu.run() }
      best = min(best, Double(threadTime() - start) / Double(count))
    }
    print("\(kind) exit round trip: \(Int(best)) ns")
    // Undisturbed, half a microsecond.
    #expect(best < 2000)
  }
}
