// Instruction sequences that move guest state between the host's registers and the state block.
extension CodeWriter {
  /// The state block's slot of a guest general register.
  static func slot(_ guest: UInt8) -> HostOperand {
    .state(StateLayout.field(\CPUState.registers) + 8 * Int32(guest))
  }

  /// Writes the resident guest registers, then the arithmetic flags, to the state block.
  /// Clobbers RAX.
  mutating func saveGuestRegisters() {
    for (guest, host) in RegisterMap.resident { store(host, Self.slot(guest)) }
    byte(0x9f)  // lahf
    bytes(0x0f, 0x90, 0xc0)  // seto al
    bytes(0x65, 0x66)
    byte(0x89)  // mov gs:savedFlags, ax
    modRM(0, .state(StateLayout.field(\.savedFlags)))
  }

  /// The opposite of ``saveGuestRegisters()``; RCX and R11 stay as they are.
  mutating func restoreGuestRegisters() {
    restoreFlags()
    for (guest, host) in RegisterMap.resident { load(host, Self.slot(guest)) }
  }

  /// The arithmetic flags become what the state block has saved. Clobbers RAX.
  mutating func restoreFlags() {
    byte(0x65)
    bytes(0x0f, 0xb7)  // movzx eax, word gs:savedFlags
    modRM(0, .state(StateLayout.field(\.savedFlags)))
    bytes(0x04, 0x7f)  // add al, 127: overflows if al is 1
    byte(0x9e)  // sahf
  }

  private mutating func vectorMove(_ opcode: UInt8, _ number: UInt8) {
    // vmovdqu ymm, gs:… and back
    byte(0x65)
    bytes(0xc5, number < 8 ? 0xfe : 0x7e, opcode)
    modRM(number, .state(Int32(StateLayout.vectorArea) + 32 * Int32(number)))
  }

  /// Puts away YMM0…15, which Swift code may clobber.
  mutating func saveVectors() {
    for number in UInt8(0)..<16 { vectorMove(0x7f, number) }
    bytes(0xc5, 0xf8, 0x77)  // vzeroupper
  }

  mutating func restoreVectors() {
    for number in UInt8(0)..<16 { vectorMove(0x6f, number) }
  }

  /// XSAVE64 (4) or XRSTOR64 (5) of x87, SSE and AVX state. Clobbers RAX and RDX.
  mutating func extendedState(_ extensionField: UInt8) {
    constant(.rax, 7)
    constant(.rdx, 0)
    bytes(0x65, 0x48)
    bytes(0x0f, 0xae)
    modRM(extensionField, .state(Int32(StateLayout.extendedArea)))
  }
}
