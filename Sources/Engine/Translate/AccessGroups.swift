/// Accesses of one block off the same registers, which one soft-TLB check covers.
///
/// Before the first of them, a check finds that all bytes from the lowest to the highest are in one page that may
/// be used so; the others then need no check. Where that does not hold, the leader leaves for the
/// same instructions translated without groups (``BlockMode/ungrouped``), which do each access by
/// itself. So a group never faults, and need not know what is special about an address.
struct AccessGroup: BitwiseCopyable {
  /// What the addresses have in common.
  var base: UInt8
  var index: UInt8
  var scaleShift: UInt8
  /// Before which instruction the check is: the first member, or one before it where the flags are
  /// dead.
  var check: UInt8
  var members: UInt8 = 1
  /// Whether a member writes.
  var isWritten: Bool
  /// Whether the leader itself writes.
  var isWrittenFirst: Bool
  /// Whether the registers still are what they were, but for ``moved``.
  var isOpen = true
  /// By how much constants have moved the base since the check.
  var moved: Int32 = 0
  /// The bytes covered, from the base at the check.
  var low: Int32
  var high: Int32

  /// Bytes that a group may cover: the more, the more often a page ends in them.
  static let longest: Int32 = 512
}

/// The groups of the block being translated, and whose member each access is.
@safe
struct AccessGroups {
  static let none: UInt8 = 0xff
  static let capacity = 16
  /// For each instruction: the groups of its memory operand and of its push or pop.
  private let membership: UnsafeMutablePointer<(operand: UInt8, stack: UInt8)>
  private let groups: UnsafeMutablePointer<AccessGroup>
  private(set) var count = 0

  static let memorySize = 0x1000

  init(memory: UnsafeMutableRawPointer) {
    unsafe groups = memory.bindMemory(to: AccessGroup.self, capacity: Self.capacity)
    unsafe membership = (memory + 0x400).bindMemory(
      to: (operand: UInt8, stack: UInt8).self, capacity: BlockTranslator.limit)
  }

  subscript(index: UInt8) -> AccessGroup { unsafe groups[Int(index)] }

  /// The group of an instruction's memory operand or stack access; `nil` for one by itself.
  func group(of position: Int, isStack: Bool) -> UInt8? {
    guard count > 0 else { return nil }
    let index = unsafe isStack ? membership[position].stack : membership[position].operand
    guard index != Self.none, unsafe groups[Int(index)].members > 1 else { return nil }
    return index
  }

  mutating func reset() { count = 0 }

  mutating func begin(_ position: Int) {
    unsafe membership[position] = (Self.none, Self.none)
  }

  /// Adds an access to the open group of its registers, or begins one.
  mutating func add(
    _ position: Int, isStack: Bool, _ group: AccessGroup, mayLead: Bool
  ) {
    for number in 0..<count where unsafe groups[number].isOpen {
      let found = unsafe groups[number]
      guard found.base == group.base, found.index == group.index,
        found.scaleShift == group.scaleShift
      else { continue }
      let low = min(found.low, found.moved &+ group.low)
      let high = max(found.high, found.moved &+ group.high)
      if high &- low <= AccessGroup.longest {
        unsafe groups[number].low = low
        unsafe groups[number].high = high
        unsafe groups[number].members += 1
        if group.isWritten { unsafe groups[number].isWritten = true }
        join(position, isStack: isStack, UInt8(number))
        return
      }
      unsafe groups[number].isOpen = false
    }
    guard mayLead, count < Self.capacity else { return }
    unsafe groups[count] = group
    unsafe groups[count].low += group.moved
    unsafe groups[count].high += group.moved
    join(position, isStack: isStack, UInt8(count))
    count += 1
  }

  private func join(_ position: Int, isStack: Bool, _ group: UInt8) {
    if isStack {
      unsafe membership[position].stack = group
    } else {
      unsafe membership[position].operand = group
    }
  }

  /// A register has moved by a constant.
  func move(_ register: UInt8, by distance: Int32) {
    for number in 0..<count where unsafe groups[number].isOpen {
      if unsafe groups[number].index == register { unsafe groups[number].isOpen = false }
      guard unsafe groups[number].base == register else { continue }
      let (sum, overflow) = unsafe groups[number].moved.addingReportingOverflow(distance)
      unsafe groups[number].moved = sum
      if overflow || abs(sum) > 0x1000 { unsafe groups[number].isOpen = false }
    }
  }

  /// A register has changed.
  func close(_ register: UInt8) {
    for number in 0..<count
    where unsafe groups[number].base == register || groups[number].index == register {
      unsafe groups[number].isOpen = false
    }
  }

  func closeAll() {
    for number in 0..<count { unsafe groups[number].isOpen = false }
  }
}

extension BlockTranslator {
  /// Finds the groups of the block; none where accesses need more than a check of the page.
  mutating func findAccessGroups() {
    groups.reset()
    guard isLong, source.secondPage == 0, mode.isDisjoint(with: [.single, .ungrouped]) else {
      return
    }
    var place = source.offset
    for index in 0..<count {
      let instruction = unsafe instructions[index]
      groups.begin(index)
      if beginsTurn(index) { place = source.offset }
      // The way out for a group that fails is a jump within the page.
      place += Int(instruction.length)
      note(instruction, index, mayLead: place <= 4096 - 15)
    }
  }

  private mutating func note(_ instruction: Instruction, _ position: Int, mayLead: Bool) {
    guard instruction.keepsMappings else {
      groups.closeAll()
      return
    }
    if let access = instruction.groupableOperand {
      groups.add(position, isStack: false, placingCheck(of: access, position), mayLead: mayLead)
    }
    if let access = instruction.groupableStackAccess {
      groups.add(position, isStack: true, placingCheck(of: access, position), mayLead: mayLead)
    }
    if let (register, distance) = instruction.constantMove {
      groups.move(register, by: distance)
      if instruction.operation == .pop { closeWritten(instruction) }
    } else {
      closeWritten(instruction)
      if instruction.operation.movesStackFreely { groups.close(4) }
      if instruction.operation == .leave { groups.close(5) }
    }
  }

  private func closeWritten(_ instruction: Instruction) {
    for position in 0..<Int(instruction.operandCount) {
      let operand = instruction.operands[position]
      guard operand.access.contains(.write) else { continue }
      if operand.kind == .general || operand.kind == .highByte { groups.close(operand.number) }
    }
  }
}

extension BlockTranslator {
  private static let farthestCheck = 12

  /// Has a group's check before its first access where the flags are dead, if such a place is near:
  /// the check is shorter there.
  private func placingCheck(of access: AccessGroup, _ position: Int) -> AccessGroup {
    var group = access
    group.check = UInt8(position)
    var moved: Int32 = 0
    var place = position
    while unsafe !liveFlags[place].isEmpty {
      guard place > 0, position - place < Self.farthestCheck, !beginsTurn(place) else {
        return group
      }
      let before = unsafe instructions[place - 1]
      guard before.keepsMappings, !before.operation.mayLeave else { return group }
      if let (register, distance) = before.constantMove {
        if register == access.index { return group }
        if register == access.base { moved &+= distance }
        if before.operation == .pop, before.writes(access.base) || before.writes(access.index) {
          return group
        }
      } else if before.writes(access.base) || before.writes(access.index) {
        return group
      }
      place -= 1
    }
    guard abs(moved) <= 0x1000 else { return group }
    // What comes between may fault: only the access itself makes its page dirty.
    if place != position { group.isWrittenFirst = false }
    group.check = UInt8(place)
    group.moved = moved
    return group
  }
}

extension Instruction {
  /// Whether a general register may be another afterwards.
  fileprivate func writes(_ register: UInt8) -> Bool {
    if register == 4 && operation.movesStackFreely { return true }
    if register == 5 && operation == .leave { return true }
    for position in 0..<Int(operandCount) {
      let operand = operands[position]
      if operand.number == register && operand.access.contains(.write)
        && (operand.kind == .general || operand.kind == .highByte)
      {
        return true
      }
    }
    return false
  }
}
