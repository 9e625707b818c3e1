import GuestMemory
import KVM
import KVMSoft
import Testing
import X86

/// Registers that no exit names, while a guest's instruction waits for its device.
@Suite struct SuspensionTests {
  /// fld1; out 0x80, al; fstp dword [0x2000]; out 0x81, al
  private static let inUse: [UInt8] = [
    0xd9, 0xe8, 0xe6, 0x80, 0xd9, 0x1e, 0x00, 0x20, 0xe6, 0x81,
  ]
  /// out 0x80, al; fld1; fstp dword [0x2000]; out 0x81, al
  private static let unused: [UInt8] = [
    0xe6, 0x80, 0xd9, 0xe8, 0xd9, 0x1e, 0x00, 0x20, 0xe6, 0x81,
  ]

  /// Leaves its mark on the host's x87 registers, as a client may.
  @inline(never)
  private func useFloatingPoint(_ seed: Float80) -> Float80 {
    (1...8).reduce(seed) { sum, number in (sum * Float80(number)).squareRoot() }
  }

  @Test(arguments: [(inUse, 0x80), (unused, 0)])
  func `x87 is the guest's again after an exit`(code: [UInt8], tagWord: Int) throws {
    let guest = try SoftGuest(code)
    let cpu = try guest.start()
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    let state = try cpu.floatingPoint()
    #expect(state.controlWord == 0x37f)
    #expect(Int(state.tagWord) == tagWord)
    if tagWord != 0 { #expect(state.stack[0][7] == 0x80 && state.stack[0][9] == 0x3f) }
    #expect(useFloatingPoint(2) > 1)
    #expect(try cpu.run() == .portWrite(0x81, value: 0, size: 1))
    #expect(try guest.memory.load(UInt32.self, at: 0x2000) == 0x3f80_0000)
    #expect(try cpu.floatingPoint().tagWord == 0)
    #expect(useFloatingPoint(3) > 1)
  }

  @Test func `vector registers can be seen at an exit, and are the same after it`() throws {
    // pcmpeqd xmm1, xmm1; out 0x80, al; movups [0x2000], xmm1; out 0x81, al
    let guest = try SoftGuest([
      0x66, 0x0f, 0x76, 0xc9, 0xe6, 0x80, 0x0f, 0x11, 0x0e, 0x00, 0x20, 0xe6, 0x81,
    ])
    let cpu = try guest.start()
    var special = try cpu.specialRegisters()
    special.cr4.insert(.fxsr)
    try cpu.setSpecialRegisters(special)
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    let state = try cpu.floatingPoint()
    #expect((0..<16).allSatisfy { state.vectors[1][$0] == 0xff })
    #expect((0..<16).allSatisfy { state.vectors[0][$0] == 0 })
    #expect(try cpu.run() == .portWrite(0x81, value: 0, size: 1))
    #expect(try guest.memory.bytes(at: 0x2000, count: 16) == [UInt8](repeating: 0xff, count: 16))
  }

  @Test func `registers that are set at an exit are the guest's after it`() throws {
    let guest = try SoftGuest(Self.inUse)
    let cpu = try guest.start()
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    var state = try cpu.floatingPoint()
    // Twice as much.
    (state.stack[0][8], state.stack[0][9]) = (0, 0x40)
    try cpu.setFloatingPoint(state)
    #expect(try cpu.run() == .portWrite(0x81, value: 0, size: 1))
    #expect(try guest.memory.load(UInt32.self, at: 0x2000) == 0x4000_0000)
  }
}
