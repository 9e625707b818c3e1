/// What processors of different makers do differently, so that neither end is wrong.
extension DifferentialCase {
  /// Whether the ends may differ because of the instruction that one of them faulted at.
  func isProcessorSpecific(_ host: SnippetState, _ engine: SnippetState) -> Bool {
    guard let bytes = code(at: engine.instructionPointer) else { return false }
    let prefixes = bytes.prefix { Self.prefixes.contains($0) || (!isCompatibility && $0 >> 4 == 4) }
    let code = Array(bytes.dropFirst(prefixes.count).prefix(4))
    guard code.count >= 2 else { return false }
    let isPageFault = host.vector == 14 && engine.vector == 14
    // Repeated strings with 32-bit addresses: Intel's cut the registers at a fault, AMD's do not.
    if isPageFault, prefixes.contains(0x67), prefixes.contains(where: { $0 | 1 == 0xf3 }),
      Self.strings.contains(code[0])
    {
      return true
    }
    // Masked stores: which byte of the operand the fault is said to be at.
    if isPageFault, code.starts(with: [0x0f, 0xf7]) { return true }
    // Gathers: which elements are there already when another one faults.
    if host.vector == engine.vector, code.count == 4, code[0] == 0xc4, code[3] & ~3 == 0x90 {
      return host.vector == 13 || host.vector == 14
    }
    // BOUND below its lower limit: whether the upper one is read at all.
    if isCompatibility, code[0] == 0x62, host.vector == 5, engine.vector == 14 { return true }
    // x87 stores that store nothing, because of an exception that is not masked: whether the
    // operand's address counts.
    return [3, 16].contains(host.vector) && (12...14).contains(engine.vector)
      && [0xd9, 0xdb, 0xdd, 0xdf].contains(code[0]) && code[1] < 0xc0
  }

  /// The snippet's code from `address` on.
  private func code(at address: UInt64) -> ArraySlice<UInt8>? {
    let bytes = snippet.layout(at: before.instructionPointer) ?? []
    guard let offset = Int(exactly: address &- before.instructionPointer), offset < bytes.count
    else { return nil }
    return bytes[offset...]
  }

  private static let prefixes: Set<UInt8> = [
    0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
  ]
  private static let strings: Set<UInt8> = [
    0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
  ]
}
