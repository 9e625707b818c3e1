import CNative
import Engine
import SeededRandom

/// A snippet with everything it starts from.
struct DifferentialCase {
  var seed: UInt64
  var snippet: Snippet
  var isCompatibility: Bool
  var variant: GuestVariant
  var before: SnippetState
  var memoryOffset: Int

  /// The case that a seed stands for.
  init(seed: UInt64) {
    self.seed = seed
    var random = SeededGenerator(seed: seed)
    isCompatibility = random.chance(30)
    variant = GuestVariant(seed: seed)
    var generator = SnippetGenerator(
      seed: random.next(), isCompatibility: isCompatibility, isStepped: variant == .stepping)
    snippet = generator.snippet()
    before = SnippetState()
    memoryOffset = random.below(Int(NATIVE_POOL_SIZE) / 64) * 64
    fillRegisters(&random)
    fillVectors(&random)
    // Some snippets straddle a page's end.
    let page = UInt64(random.below(Int(NATIVE_CODE_SIZE) / 4096 - 1)) * 4096
    let offset = random.chance(15) ? 4096 - 1 - random.below(40) : random.below(48) * 64
    before.instructionPointer = UInt64(NATIVE_CODE) + page + UInt64(offset)
  }

  private mutating func fillRegisters(_ random: inout SeededGenerator) {
    for index in 0..<16 { before.registers[index] = Self.value(&random) }
    if random.chance(90) {
      let distance = UInt64(0x100 + random.below(0x1e00))
      before.registers[4] = UInt64(NATIVE_DATA) + (random.chance(80) ? distance & ~7 : distance)
    }
    if isCompatibility {
      for index in 0..<16 { before.registers[index] &= 0xffff_ffff }
      // The child cannot set these from 32-bit code, and cannot see them change.
      for index in 8..<16 { before.registers[index] = 0 }
    }
    before.flags = 0x202 | random.next() & SnippetState.arithmeticFlags
    if random.chance(12) { before.flags |= SnippetState.directionFlag }
  }

  private static func value(_ random: inout SeededGenerator) -> UInt64 {
    switch random.below(10) {
    case 0..<4: UInt64(NATIVE_DATA) + UInt64(random.below(0x2000))
    case 4..<6: UInt64(random.below(300))
    case 6: 0 &- UInt64(random.below(300))
    case 7: random.pick([0, 1 << 63, .max, 0x7fff_ffff, 0x8000_0000, 0xff00, 0x1_0000_0000])
    default: random.next()
    }
  }

  private mutating func set(_ offset: Int, _ value: UInt64, bytes: Int = 8) {
    for index in 0..<bytes {
      before.extended[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
    }
  }

  private static func vectorWord(_ random: inout SeededGenerator, _ kind: Int) -> UInt64 {
    switch kind {
    case 0: random.next()
    case 1: (Double(random.below(2000)) - 1000).bitPattern
    case 2:
      UInt64(Float(random.below(100)).bitPattern) << 32 | UInt64(Float(-2.5).bitPattern)
    case 3: UInt64(random.below(256)) << 32 | UInt64(random.below(256))
    case 4: random.pick([0, .max, 0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_0001, 1, 0x8000_0000])
    default: random.next() & 0x0f0f_0f0f_0f0f_0f0f
    }
  }

  private mutating func fillVectors(_ random: inout SeededGenerator) {
    set(512, 7)
    for register in 0..<16 {
      let kind = random.below(6)
      for half in 0..<2 {
        set(160 + register * 16 + half * 8, Self.vectorWord(&random, kind))
        set(576 + register * 16 + half * 8, Self.vectorWord(&random, kind))
      }
    }
    // Exceptions unmasked now and then; the rounding mode at will.
    let masks: UInt64 = random.chance(6) ? random.next() & 0x1f80 : 0x1f80
    set(24, masks | UInt64(random.below(4)) << 13 | (random.chance(5) ? 0x8040 : 0), bytes: 4)
    set(28, 0xffff, bytes: 4)
    let control: UInt64 = random.chance(5) ? random.next() & 0x3f : 0x3f
    set(0, control | 0x40 | random.pick([0, 2, 3, 3, 3]) << 8 | UInt64(random.below(4)) << 10)
    set(2, UInt64(random.below(8)) << 11 | random.next() & 0x4700, bytes: 2)
    set(4, random.chance(50) ? random.next() & 0xff : 0, bytes: 1)
    for register in 0..<8 {
      let exponent = random.chance(80) ? UInt64(0x3fff - 20 + random.below(40)) : random.next()
      set(32 + register * 16, random.next() | 1 << 63)
      set(40 + register * 16, exponent | (random.next() & 0x8000), bytes: 2)
    }
  }

  /// Fills in a native case; `false` when the snippet cannot be laid out.
  func write(to target: UnsafeMutablePointer<native_case>) -> Bool {
    guard let bytes = snippet.layout(at: before.instructionPointer) else { return false }
    target.pointee.before = before.native
    target.pointee.code_length = UInt32(bytes.count)
    target.pointee.is_compatibility = isCompatibility ? 1 : 0
    target.pointee.is_segmented = 0
    target.pointee.code_address = before.instructionPointer
    target.pointee.memory_offset = UInt32(memoryOffset)
    withUnsafeMutableBytes(of: &target.pointee.code) { $0.copyBytes(from: bytes) }
    return true
  }
}

/// How the guest is driven: each way must lead to the state that the host leads to.
enum GuestVariant {
  case plain
  /// Data pages are mapped when a page fault asks for them, and the guest goes on with IRET.
  case lazyPages
  /// As the last, with an interrupt at the start and after every page fault.
  case interrupted
  /// RFLAGS.TF is set: a debug exception after each instruction.
  case stepping

  /// The variant in which a seed's case runs: mostly the plain one.
  init(seed: UInt64) {
    switch seed % 16 {
    case 12, 13: self = .lazyPages
    case 14: self = .stepping
    case 15: self = .interrupted
    default: self = .plain
    }
  }
}

/// How a case ended.
enum CaseOutcome {
  case agreed
  case skipped
  case differed([String])
}
