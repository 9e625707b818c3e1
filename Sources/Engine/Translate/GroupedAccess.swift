// Accesses of a group: one check, then nothing but the addition.
extension BlockTranslator {
  /// Where the memory operand of the current instruction is, which is in a group.
  ///
  /// - Parameter plain: Whether RCX must be free afterwards.
  mutating func emitGrouped(_ number: UInt8, plain: Bool) -> HostOperand {
    var pointer = Self.indexed
    if instruction.index == Instruction.noRegister, let base = RegisterMap.host(instruction.base) {
      let displacement = Int32(truncatingIfNeeded: instruction.displacement)
      pointer = .memory(base: base, index: .scratch, displacement: displacement)
    } else {
      if instruction.index != Instruction.noRegister && RegisterMap.host(instruction.index) == nil {
        groupInScratch = AccessGroups.none  // the address takes RCX
      }
      emitOffset(displacement: instruction.displacement)
    }
    loadAddend(number)
    guard plain else { return pointer }
    writer.operation(0x8d, HostRegister.address.rawValue, pointer)
    return Self.direct
  }

  /// Where a push or pop of the current instruction is, which is in a group.
  mutating func emitGrouped(
    _ number: UInt8, stackBy distance: Int32, base: HostRegister = .r15
  ) -> HostOperand {
    loadAddend(number)
    return .memory(base: base, index: .scratch, displacement: distance)
  }

  /// Where the memory operand of the current instruction is read that is no more than a pointer.
  mutating func emitRead(size: Int) -> HostOperand {
    if let group = groups.group(of: position, isStack: false) {
      return emitGrouped(group, plain: false)
    }
    emitAddress(.read, size: size)
    return emitCheck(size: size, .read, plain: false).pointer
  }

  private mutating func loadAddend(_ number: UInt8) {
    guard groupInScratch != number else { return }
    writer.load(.scratch, Self.addend(number))
    groupInScratch = number
  }

  private static func addend(_ number: UInt8) -> HostOperand {
    .state(StateLayout.run(\.groupAddends) + 8 * Int32(number))
  }

  /// Emits the checks that come before the current instruction.
  mutating func emitGroupChecks() {
    for number in 0..<UInt8(groups.count) {
      let group = groups[number]
      if Int(group.check) == position && group.members > 1 { emitGroupCheck(number, group) }
    }
  }

  /// Checks all of a group.
  private mutating func emitGroupCheck(_ number: UInt8, _ group: AccessGroup) {
    let start = here
    emitSum(base: group.base, index: (group.index, group.scaleShift), group.low, wide: true)
    let size = Int(group.high - group.low)
    let tags = Int32(
      group.isWritten ? StateLayout.writeTags(view) : StateLayout.readTags(view))
    var stub = ColdStub(kind: .group, site: 0, rejoin: start, size: UInt16(size))
    stub.access = group.isWrittenFirst ? .write : .read
    stub.isGroupWritten = group.isWritten
    if flagsAreDead {
      stub.site = emitFastCheck(tags: tags, size: size)
      stub.tags = tags
    } else {
      stub.site = emitFlagFreeCheck(tags: tags, size: size)
    }
    _ = addCold(stub)
    let addends = Int32(StateLayout.addends(view))
    writer.tableOperation(0x8b, HostRegister.scratch.rawValue, index: .scratch, offset: addends)
    writer.store(.scratch, Self.addend(number))
    groupInScratch = number
  }

  /// Has the TLB filled and tries again, or else leaves for the ungrouped block.
  mutating func emitColdGroup(_ stub: ColdStub) {
    if stub.tags != 0 {
      writer.tableOperation(
        0x2b, HostRegister.address.rawValue, index: .scratch, offset: stub.tags)
    }
    let info = AccessSite(
      offset: UInt32(stub.offset), size: UInt32(stub.size), access: stub.access, isStack: false,
      isGroupWritten: stub.isGroupWritten)
    writer.constant(.scratch, UInt64(info.rawValue))
    emitCall(thunks.group)
    emitHostJump(stub.rejoin)
    writer.byte(0xe9)
    writer.word(0)
    noteExit(to: Int64(stub.offset), mode: mode.union(.ungrouped))
  }

  /// Whether the current instruction, as emitted, leaves in RCX what a grouped access has put there.
  var keepsScratch: Bool {
    switch instruction.operation {
    case .plain:
      let isAlone =
        instruction.hasMemory && !instruction.memoryAccess.isEmpty
        && groups.group(of: position, isStack: false) == nil
      return !isAlone && !InstructionEncoder.needsScratch(instruction)
    case .push: return !instruction.hasMemory && groups.group(of: position, isStack: true) != nil
    case .pop: return groups.group(of: position, isStack: true) != nil
    case .loadAddress:
      return instruction.index == Instruction.noRegister
        || RegisterMap.host(instruction.index) != nil
    // A poll has noted that it takes RCX.
    case .noOperation, .jumpConditional: return true
    default: return false
    }
  }
}
