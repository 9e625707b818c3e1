import CNative
import Engine

/// What a snippet starts with or has left: general registers, flags, vectors, and how it ended.
struct SnippetState {
  var registers: [UInt64] = .init(repeating: 0, count: 16)
  var instructionPointer: UInt64 = 0
  var flags: UInt64 = 0
  var vector: UInt64 = 0
  var errorCode: UInt64 = 0
  /// CR2, where the vector is a page fault's.
  var address: UInt64 = 0
  /// x87, SSE and AVX state: an XSAVE image in the standard format.
  var extended: [UInt8] = .init(repeating: 0, count: 832)

  init() {}

  init(_ state: native_state) {
    var state = state
    withUnsafeBytes(of: &state) { bytes in
      for index in 0..<16 {
        registers[index] = bytes.load(fromByteOffset: index * 8, as: UInt64.self)
      }
      for index in 0..<832 { extended[index] = bytes[192 + index] }
    }
    instructionPointer = state.rip
    flags = state.rflags
    vector = state.trap
    errorCode = state.error
    address = state.address
  }

  var native: native_state {
    var state = native_state()
    withUnsafeMutableBytes(of: &state) { bytes in
      for index in 0..<16 {
        bytes.storeBytes(of: registers[index], toByteOffset: index * 8, as: UInt64.self)
      }
      for index in 0..<832 { bytes[192 + index] = extended[index] }
    }
    state.rip = instructionPointer
    state.rflags = flags
    return state
  }

  static let arithmeticFlags: UInt64 = 0x8d5
  static let directionFlag: UInt64 = 0x400

  /// The parts that XSTATE_BV says are in their initial state, written out.
  mutating func normalizeExtended() {
    let present = extended[512]
    if present & 1 == 0 {
      for index in 0..<160 where index < 24 || index >= 32 { extended[index] = 0 }
      (extended[0], extended[1]) = (0x7f, 0x03)
    }
    if present & 2 == 0 { for index in 160..<416 { extended[index] = 0 } }
    if present & 4 == 0 { for index in 576..<832 { extended[index] = 0 } }
  }

  private func word(_ offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(extended[offset + $1]) << (8 * UInt64($1)) }
  }

  static let registerNames = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15",
  ]

  /// What differs, `self` being what the host did; empty when all that must agree does.
  ///
  /// At a fault the arithmetic flags are not compared: the engine may have clobbered those that
  /// the code from there on writes before it reads them. That restarting after a fault finds the
  /// flags it needs is what the lazily mapped variant tests.
  ///
  /// In 32-bit code the engine's flat segments wrap where the host's have a limit: a page fault
  /// there is taken for the host's #SS and #GP.
  func differences(from guest: SnippetState) -> [String] {
    var found: [String] = []
    // An operand that is not aligned, or an x87 exception that is pending: the host's exception
    // goes before that of the operand's address, the engine's comes when the address is valid.
    let isMisaligned =
      (vector == 12 || vector == 13 || vector == 16) && (12...14).contains(guest.vector)
    func note(_ name: String, _ host: UInt64, _ engine: UInt64) {
      if host != engine {
        found.append(
          "\(name): host \(String(host, radix: 16)), engine \(String(engine, radix: 16))")
      }
    }
    for index in 0..<16 {
      note(Self.registerNames[index], registers[index], guest.registers[index])
    }
    if !isMisaligned { note("vector", vector, guest.vector) }
    note("rip", instructionPointer, guest.instructionPointer)
    let ended = vector == 3 && guest.vector == 3
    let mask = Self.directionFlag | (ended ? Self.arithmeticFlags : 0)
    note("flags", flags & mask, guest.flags & mask)
    if !ended && !isMisaligned {
      // Linux hides whether kernel addresses are mapped.
      let isKernel = vector == 14 && address >= 0x7fff_ffff_f000
      note("error code", errorCode & (isKernel ? ~1 : ~0), guest.errorCode & (isKernel ? ~1 : ~0))
      // x87 state may be stored and loaded in any order.
      let isStart = guest.address & 0xfff == 0 && guest.address == address & ~0xfff
      if vector == 14 && !isStart { note("cr2", address, guest.address) }
    }
    noteVectors(guest, note)
    // An MMX instruction that faults may have marked the registers as used already.
    if ended { noteFloating(guest, note) }
    return found
  }

  private func noteFloating(
    _ guest: SnippetState, _ note: (String, UInt64, UInt64) -> Void
  ) {
    // FOP, FIP and FDP, bytes 6 to 23, are addresses in the code cache or of no interest.
    note("x87 control, status, tags", word(0) & 0xff_ffff_ffff, guest.word(0) & 0xff_ffff_ffff)
    for index in 0..<8 {
      note("st\(index)", word(32 + 16 * index), guest.word(32 + 16 * index))
      note("st\(index) high", word(40 + 16 * index) & 0xffff, guest.word(40 + 16 * index) & 0xffff)
    }
  }

  private func noteVectors(
    _ guest: SnippetState, _ note: (String, UInt64, UInt64) -> Void
  ) {
    note("mxcsr", word(24) & 0xffff_ffff, guest.word(24) & 0xffff_ffff)
    for index in 0..<16 {
      for half in 0..<2 {
        let offset = 16 * index + 8 * half
        note("xmm\(index)[\(half)]", word(160 + offset), guest.word(160 + offset))
        note("ymm\(index)[\(half + 2)]", word(576 + offset), guest.word(576 + offset))
      }
    }
  }
}
