import GuestMemory
import KVM
import KVMSoft
import Testing
import X86

/// Breakpoints and steps on the engine, from outside the guest and by the guest itself.
@Suite struct SoftDebugTests {
  /// mov ax, 1; inc ax; mov [0x3000], ax; inc ax; int3; hlt
  private static let code: [UInt8] = [
    0xb8, 1, 0, 0x40, 0xa3, 0, 0x30, 0x40, 0xcc, 0xf4,
  ]

  private func stop(_ exception: UInt32, _ address: UInt64, dr6: UInt64, dr7: UInt64) -> Exit {
    .stopped(
      .debug(DebugExit(exception: exception, address: address, dr6: 0xffff_0ff0 | dr6, dr7: dr7)))
  }

  @Test func `each step ends the run`() throws {
    let cpu = try SoftGuest(Self.code).start()
    try cpu.setGuestDebug(GuestDebug([.enable, .singleStep]))
    for address in [UInt64(0x1003), 0x1004, 0x1007, 0x1008] {
      #expect(try cpu.run() == stop(1, address, dr6: 0x4000, dr7: 0x400))
    }
    #expect(try cpu.registers().rflags.contains(.trap) == false)
    try cpu.setGuestDebug(GuestDebug())
    var registers = try cpu.registers()
    registers.rip = 0x1009
    try cpu.setRegisters(registers)
    #expect(try cpu.run() == .stopped(.halted))
  }

  @Test func `INT3 ends the run where it is asked for`() throws {
    let cpu = try SoftGuest(Self.code).start()
    try cpu.setGuestDebug(GuestDebug([.enable, .softwareBreakpoints]))
    guard case .stopped(.debug(let exit)) = try cpu.run() else {
      Issue.record("no debug exit")
      return
    }
    #expect(exit.exception == 3 && exit.address == 0x1008)
    #expect(try cpu.registers().rip == 0x1008)
  }

  @Test(arguments: 0..<4)
  func `a hardware breakpoint ends the run before its instruction`(index: Int) throws {
    let cpu = try SoftGuest(Self.code).start()
    var debug = GuestDebug([.enable, .hardwareBreakpoints])
    debug.debugRegisters[index] = 0x1007
    debug.debugRegisters[7] = 0x400 | 2 << UInt64(2 * index)
    try cpu.setGuestDebug(debug)
    let expected = stop(1, 0x1007, dr6: 1 << UInt64(index), dr7: debug.debugRegisters[7])
    #expect(try cpu.run() == expected)
    #expect(try cpu.registers().rax & 0xff == 2)
    // It is still there.
    #expect(try cpu.run() == expected)
  }

  @Test func `a watched address ends the run behind the access`() throws {
    let guest = try SoftGuest(Self.code)
    let cpu = try guest.start()
    var debug = GuestDebug([.enable, .hardwareBreakpoints])
    debug.debugRegisters[1] = 0x3001
    debug.debugRegisters[7] = 0x400 | 2 << 2 | 1 << 20
    try cpu.setGuestDebug(debug)
    #expect(try cpu.run() == stop(1, 0x1007, dr6: 2, dr7: debug.debugRegisters[7]))
    #expect(try guest.memory.load(UInt16.self, at: 0x3000) == 2)
  }

  @Test func `the guest's own breakpoint is its exception, once`() throws {
    // mov eax, 0x1020; mov dr0, eax; mov eax, 2; mov dr7, eax; jmp 0x1020
    var code: [UInt8] = [
      0x66, 0xb8, 0x20, 0x10, 0, 0, 0x0f, 0x23, 0xc0, 0x66, 0xb8, 2, 0, 0, 0, 0x0f, 0x23, 0xf8,
      0xeb,
      0x0c,
    ]
    code += [UInt8](repeating: 0xf4, count: 0x20 - code.count) + [0x90, 0xf4]
    let guest = try SoftGuest(code)
    // Vector 1: mov ebx, dr6; out 0x80, al; xor eax, eax; mov dr7, eax; iret
    // (An IRET with 16-bit flags does not set RF: the breakpoint would be met again.)
    try guest.memory.write([0x00, 0x11, 0, 0], at: 1 * 4)
    try guest.memory.write(
      [0x0f, 0x21, 0xf3, 0xe6, 0x80, 0x66, 0x31, 0xc0, 0x0f, 0x23, 0xf8, 0xcf], at: 0x1100)
    let cpu = try guest.start()
    #expect(try cpu.run() == .portWrite(0x80, value: 2, size: 1))
    #expect(try cpu.registers().rbx & 0xf == 1)
    #expect(try cpu.run() == .stopped(.halted))
    #expect(try cpu.registers().rip == 0x1022)
  }

  @Test func `touching debug registers is detected`() throws {
    // mov eax, dr0; hlt
    let cpu = try SoftGuest([0x0f, 0x21, 0xc0, 0xf4]).start()
    var debug = GuestDebug([.enable, .hardwareBreakpoints])
    debug.debugRegisters[7] = 0x400 | 1 << 13
    try cpu.setGuestDebug(debug)
    #expect(try cpu.run() == stop(1, 0x1000, dr6: 0x2000, dr7: 0x2400))
  }

  @Test func `the guest detects it itself, too`() throws {
    // mov eax, 0x2400; mov dr7, eax; mov eax, dr0; hlt
    let guest = try SoftGuest([
      0x66, 0xb8, 0x00, 0x24, 0, 0, 0x0f, 0x23, 0xf8, 0x0f, 0x21, 0xc0, 0xf4,
    ])
    // Vector 1: mov ebx, dr6; out 0x80, al; hlt
    try guest.memory.write([0x00, 0x11, 0, 0], at: 1 * 4)
    try guest.memory.write([0x0f, 0x21, 0xf3, 0xe6, 0x80, 0xf4], at: 0x1100)
    let cpu = try guest.start()
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    #expect(try cpu.registers().rbx & 0x2000 != 0)
  }

  @Test func `the shadow of STI covers a step`() throws {
    // sti; inc ax; inc ax; hlt
    let guest = try SoftGuest([0xfb, 0x40, 0x40, 0xf4])
    try guest.memory.write([0x00, 0x11, 0, 0], at: 0x21 * 4)
    try guest.memory.write([0x90, 0xcf], at: 0x1100)
    let cpu = try guest.start()
    try cpu.setGuestDebug(GuestDebug([.enable, .singleStep]))
    #expect(try cpu.run() == stop(1, 0x1001, dr6: 0x4000, dr7: 0x400))
    #expect(try cpu.events().interrupt.shadow.isEmpty == false)
    try cpu.inject(interrupt: 0x21)
    #expect(try cpu.run() == stop(1, 0x1002, dr6: 0x4000, dr7: 0x400))
    #expect(try cpu.run() == stop(1, 0x1101, dr6: 0x4000, dr7: 0x400))
  }

  @Test func `linear addresses are translated`() throws {
    let cpu = try SoftGuest(Self.code).start()
    #expect(try cpu.translate(0x1234).physicalAddress == 0x1234)
  }
}
