// Loops that are one block: several turns are emitted behind each other, so that one check covers
// the accesses of all of them where an address moves by a constant, and one poll is enough.
extension BlockTranslator {
  private static let mostTurns = 4
  private static let longestUnrolled = 32

  /// Repeats the instructions of a block that ends in a conditional jump to its beginning.
  mutating func unrollLoop() {
    guard isLong, mode.isDisjoint(with: [.single, .ungrouped]), source.secondPage == 0 else {
      return
    }
    guard let length = loopLength, length <= Self.longestUnrolled / 2 else { return }
    let turns = min(Self.mostTurns, Self.longestUnrolled / length)
    for index in length..<length * turns {
      unsafe instructions[index] = instructions[index % length]
    }
    (count, turn) = (length * turns, length)
  }

  /// How many instructions of the block lead to its beginning again; `nil` where none do, or a
  /// turn calls helpers anyway.
  private var loopLength: Int? {
    var place = source.offset
    for index in 0..<min(count, Self.longestUnrolled) {
      let instruction = unsafe instructions[index]
      guard instruction.keepsMappings else { return nil }
      place += Int(instruction.length)
      let distance = Int64(source.offset - place)
      if instruction.operation == .jumpConditional && instruction.immediate == distance
        && instruction.operandSize != 2
      {
        return place <= 4096 - 15 ? index + 1 : nil
      }
    }
    return nil
  }

  /// Whether an instruction is the first of a turn.
  func beginsTurn(_ index: Int) -> Bool { turn != 0 && index % turn == 0 }

  /// The jump at the end of a turn that is not the last: out of the loop, or else on to the next.
  mutating func emitLoopExit() {
    writer.bytes(0x0f, 0x80 | (instruction.opcode & 15 ^ 1))
    writer.word(0)
    noteBranch(to: Int64(nextOffset))
  }
}
