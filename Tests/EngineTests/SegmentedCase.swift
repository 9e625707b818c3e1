import CNative
import Engine
import SeededRandom
import X86

/// A few random instructions of 16- or 32-bit code, run with segments of the local table.
struct SegmentedCase {
  var seed: UInt64
  var code: [UInt8] = []
  /// ES, CS, SS, DS, FS, GS.
  var selectors: [UInt16] = []
  var before = SnippetState()
  var memoryOffset: Int
  var variant: GuestVariant
  var count = 0

  private static let codeEntries = [1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 18]
  private static let dataEntries = [8, 9, 10, 11, 12, 13, 14, 16, 17, 8, 14]
  private static let stackEntries = [8, 9, 10, 11, 13, 14, 14, 16, 17, 19]

  init(seed: UInt64) {
    self.seed = seed
    var random = SeededGenerator(seed: seed ^ 0x5e6d)
    variant = .plain
    memoryOffset = random.below(Int(NATIVE_POOL_SIZE) / 64) * 64
    let data = { random.chance(5) ? 0 : Self.selector(random.pick(Self.dataEntries)) }
    selectors = [data(), 0, 0, data(), data(), data()]
    selectors[1] = Self.selector(random.pick(Self.codeEntries))
    selectors[2] = Self.selector(random.pick(Self.stackEntries))
    fillRegisters(&random)
    fillCode(&random)
    before.extended[512] = 7
    (before.extended[0], before.extended[1]) = (0x7f, 3)
    (before.extended[24], before.extended[25]) = (0x80, 0x1f)
  }

  private static func selector(_ entry: Int) -> UInt16 { UInt16(entry << 3 | 7) }

  /// A segment as the local table has it; the null one for 0.
  static func register(_ selector: UInt16) -> SegmentRegister {
    let raw = native_descriptor(Int32(selector >> 3))
    let attributes = SegmentAttributes(rawValue: UInt16(truncatingIfNeeded: raw >> 40) & 0xf0ff)
    let plain = UInt32(truncatingIfNeeded: (raw & 0xffff) | (raw >> 32 & 0xf_0000))
    return SegmentRegister(
      base: (raw >> 16 & 0xff_ffff) | (raw >> 56) << 24,
      limit: attributes[.granular] ? plain << 12 | 0xfff : plain, selector: selector,
      attributes: attributes)
  }

  var codeSegment: SegmentRegister { Self.register(selectors[1]) }
  var codeAddress: UInt64 { (codeSegment.base + before.instructionPointer) & 0xffff_ffff }

  private static func value(_ random: inout SeededGenerator) -> UInt64 {
    switch random.below(12) {
    case 0..<5: UInt64(random.below(0x1800))
    case 5: UInt64(NATIVE_DATA) + UInt64(random.below(0x2000))
    case 6: UInt64(0x7f0 + random.below(0x20))
    case 7: random.pick([0xfff, 0x17ff, 0x1fff, 0xffff, 0x1_ffff]) - UInt64(random.below(12))
    case 8: UInt64(Self.selector(random.pick(Self.dataEntries)))
    case 9: UInt64(UInt16(truncatingIfNeeded: random.next()))
    case 10: UInt64(random.below(24))
    default: random.next() & 0xffff_ffff
    }
  }

  private mutating func fillRegisters(_ random: inout SeededGenerator) {
    for index in 0..<8 { before.registers[index] = Self.value(&random) }
    if random.chance(85) { before.registers[4] = UInt64(0x804 + random.below(0xf00)) }
    let small = !Self.register(selectors[2]).attributes[.defaultBig]
    // IRET to a small stack would lose the rest of ESP.
    if seed % 8 == 7 && !small { variant = .stepping }
    if small { before.registers[4] |= random.next() & 0xffff_0000 }
    before.flags = 0x202 | random.next() & SnippetState.arithmeticFlags
    if random.chance(12) { before.flags |= SnippetState.directionFlag }
    let limit = min(UInt64(codeSegment.limit), 0x1_ffff)
    let isWhole = codeSegment.base == 0
    var offset = UInt64(random.below(Int(limit) - 64))
    if random.chance(30) { offset = limit - UInt64(random.below(24)) }
    // The code pages are not left, whatever a branch does.
    before.instructionPointer = isWhole ? UInt64(NATIVE_CODE) + offset : offset
  }

  private mutating func fillCode(_ random: inout SeededGenerator) {
    let isWide = codeSegment.attributes[.defaultBig]
    for _ in 0...random.below(5) {
      while true {
        let bytes = Self.randomBytes(&random)
        var instruction = Instruction()
        let result = decode(
          bytes.span.bytes, codeSize: isWide ? .bits32 : .bits16, features: .all,
          into: &instruction)
        guard result == .decoded, Self.isAcceptable(instruction) else { continue }
        code += Self.steered(Array(bytes.prefix(Int(instruction.length))), instruction, &random)
        count += 1
        break
      }
    }
    code.append(0xcc)
  }

  private static func randomBytes(_ random: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    if random.chance(25) { bytes.append(0x66) }
    if random.chance(25) { bytes.append(0x67) }
    if random.chance(8) { bytes.append(random.pick([0xf2, 0xf3])) }
    if random.chance(30) { bytes.append(random.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65])) }
    if random.chance(2) { bytes.append(0xf0) }
    if random.chance(20) { bytes.append(0x0f) }
    if random.chance(20) {
      // Stacks, calls and segment loads, which matter here.
      bytes.append(
        random.pick([
          0x50, 0x54, 0x58, 0x5c, 0x60, 0x61, 0x68, 0x6a, 0x8f, 0xc2, 0xc3, 0xc8, 0xc9, 0xe8, 0xe9,
          0xeb, 0xff, 0x8e, 0x8c, 0x1e, 0x1f, 0x07, 0xc4, 0xc5, 0xe2, 0xe3, 0xa1, 0xa3, 0xd7,
        ]))
    } else {
      bytes.append(random.byte())
    }
    bytes.append(random.byte())
    if random.chance(60) {
      bytes += [UInt8(random.below(256)), UInt8(random.below(24)), 0, 0]
    }
    for _ in 0..<14 { bytes.append(random.byte()) }
    return bytes
  }

  private static func isAcceptable(_ instruction: Instruction) -> Bool {
    if instruction.prefixes.contains([.repeated, .repeatNotEqual]) { return false }
    if instruction.unit != .integer { return false }
    switch instruction.operation {
    case .moveToSegment, .popSegment, .loadFarPointer: return true
    // All of the width is written on some processors, half of it on others.
    case .pushSegment: return instruction.operandSize == 2
    case .jump, .jumpConditional, .jumpCounter, .call, .jumpIndirect, .callIndirect, .returnNear:
      // On some processors F2 and F3 change what these do.
      return instruction.prefixes.isDisjoint(with: [.repeated, .repeatNotEqual])
    default:
      let generator = SnippetGenerator(seed: 0, isCompatibility: false, isStepped: true)
      return generator.isAcceptable(instruction) && instruction.operation != .decimal
    }
  }

  /// Sends relative branches forward, out of the snippet: so that it ends.
  private static func steered(
    _ bytes: [UInt8], _ instruction: Instruction, _ random: inout SeededGenerator
  ) -> [UInt8] {
    switch instruction.operation {
    case .jump, .jumpConditional, .jumpCounter, .call: break
    default: return bytes
    }
    let size = Int(instruction.immediateSize)
    var distance = UInt64(0x50 + random.below(0x20))
    if size > 1 && random.chance(60) {
      distance = random.next() & (random.chance(90) ? 0xffff : .max)
    }
    return bytes.dropLast(size) + Snippet.littleEndian(distance, size)
  }

  func write(to target: UnsafeMutablePointer<native_case>) {
    target.pointee.before = before.native
    target.pointee.code_length = UInt32(code.count)
    target.pointee.is_compatibility = 1
    target.pointee.is_segmented = 1
    target.pointee.memory_offset = UInt32(memoryOffset)
    target.pointee.code_address = codeAddress
    withUnsafeMutableBytes(of: &target.pointee.code) { $0.copyBytes(from: code) }
    withUnsafeMutableBytes(of: &target.pointee.selectors) { bytes in
      selectors.withUnsafeBytes { bytes.copyBytes(from: $0) }
    }
  }

  /// For a report.
  var description: String {
    func hex(_ value: some BinaryInteger) -> String { String(value, radix: 16) }
    let bytes = code.map { hex(UInt16($0) + 256).dropFirst() }.joined()
    let registers = (0..<8).map { SnippetState.registerNames[$0] + "=" + hex(before.registers[$0]) }
    let names = zip(["es", "cs", "ss", "ds", "fs", "gs"], selectors)
    return "seed \(seed), \(variant): \(bytes) at \(hex(before.instructionPointer)), "
      + names.map { "\($0)=\(hex($1))" }.joined(separator: " ") + "\n  "
      + registers.joined(separator: " ") + " flags=\(hex(before.flags))\n"
  }
}
