internal import X86

/// Far transfers through call gates, task gates and task states.
///
/// Reference: SDM vol. 3A, sections 5.8.3 and 7.3.
extension Processor {
  /// A call gate after its checks: the code behind it and where it leads.
  private struct GateTarget {
    var selector: UInt16
    var code: Descriptor
    var offset: UInt64
    var parameters: Int
    /// Of what is pushed: 2, 4 or 8 bytes.
    var size: UInt8
  }

  func jumpThroughSystem(
    _ gate: Descriptor, _ selector: UInt16, _ instruction: borrowing Instruction
  ) throws(GuestFault) -> Outcome {
    let next = cpu.instructionPointer &+ UInt64(instruction.length)
    if try switchTaskIfAsked(gate, selector, .jump, next) { return .jumped }
    let target = try gateTarget(gate, selector)
    guard target.code.isConforming || target.code.privilege == cpu.privilege else {
      throw .protection(target.selector)
    }
    enter(target, privilege: cpu.privilege)
    return .jumped
  }

  func callThroughSystem(
    _ gate: Descriptor, _ selector: UInt16, returnAddress: UInt64
  ) throws(GuestFault) -> Outcome {
    if try switchTaskIfAsked(gate, selector, .call, returnAddress) { return .jumped }
    let target = try gateTarget(gate, selector)
    let privilege = target.code.isConforming ? cpu.privilege : target.code.privilege
    var stack = currentStack
    if privilege < cpu.privilege {
      let outer = stack
      stack = try cpu.isLongMode ? longInnerStack(privilege) : innerStack(privilege, 0)
      try push(UInt64(cpu[.ss].selector), size: target.size, on: &stack)
      try push(cpu.registers[4], size: target.size, on: &stack)
      try copyParameters(target, from: outer, to: &stack)
    }
    try push(UInt64(cpu[.cs].selector), size: target.size, on: &stack)
    try push(returnAddress, size: target.size, on: &stack)
    if privilege < cpu.privilege {
      cpu[.ss] = cpu.isLongMode ? nullStack(privilege) : stack.segment
    }
    commit(stack)
    enter(target, privilege: privilege)
    return .jumped
  }

  private func gateTarget(
    _ gate: Descriptor, _ selector: UInt16
  ) throws(GuestFault) -> GateTarget {
    let isWide = gate.systemType == .callGate32
    guard isWide || (gate.systemType == .callGate16 && !cpu.isLongMode),
      max(cpu.privilege, UInt8(selector & 3)) <= gate.privilege
    else { throw .protection(selector) }
    guard gate.isPresent else { throw .notPresent(selector) }
    var offset = isWide ? gate.gateOffset : gate.gateOffset & 0xffff
    if cpu.isLongMode {
      guard let high = try descriptorHigh(selector), high &>> 40 & 0x1f == 0 else {
        throw .protection(selector)
      }
      offset |= high &<< 32
    }
    let code = try handlerSegment(gate.gateSelector, 0)
    if cpu.isLongMode && (!code.attributes[.long] || code.attributes[.defaultBig]) {
      throw .protection(gate.gateSelector)
    }
    try checkTarget(offset, code)
    return GateTarget(
      selector: gate.gateSelector, code: code, offset: offset,
      parameters: cpu.isLongMode ? 0 : Int(gate.rawValue &>> 32 & 0x1f),
      size: cpu.isLongMode ? 8 : isWide ? 4 : 2)
  }

  private func enter(_ target: GateTarget, privilege: UInt8) {
    cpu[.cs] = target.code.register(target.selector & 0xfffc | UInt16(privilege))
    cpu.privilege = privilege
    cpu.instructionPointer = target.offset
  }

  /// The 64-bit stack of an inner privilege level.
  private func longInnerStack(_ privilege: UInt8) throws(GuestFault) -> StackCursor {
    let task = cpu[.task]
    let offset = 4 + UInt64(privilege) * 8
    guard offset + 7 <= UInt64(task.limit) else { throw .taskState(task.selector) }
    let pointer = try readLinear(task.base &+ offset, size: 8, as: .tableRead)
    return StackCursor(
      segment: nullStack(privilege), pointer: pointer, width: 8,
      access: privilege == 3 ? .user : [])
  }

  /// Copies words that the caller pushed, first pushed first.
  private func copyParameters(
    _ target: GateTarget, from outer: StackCursor, to stack: inout StackCursor
  ) throws(GuestFault) {
    for index in (0..<target.parameters).reversed() {
      var source = outer
      source.pointer = outer.pointer &+ UInt64(index) * UInt64(target.size)
      let value = try pop(size: target.size, from: &source)
      try push(value, size: target.size, on: &stack)
    }
  }

  /// Switches tasks where the descriptor is a task state or a task gate.
  private func switchTaskIfAsked(
    _ gate: Descriptor, _ selector: UInt16, _ cause: TaskSwitchCause, _ next: UInt64
  ) throws(GuestFault) -> Bool {
    var target = selector
    switch gate.systemType {
    case .availableTask16, .availableTask32, .busyTask16, .busyTask32, .taskGate: break
    default: return false
    }
    guard !cpu.isLongMode, max(cpu.privilege, UInt8(selector & 3)) <= gate.privilege else {
      throw .protection(selector)
    }
    if gate.systemType == .taskGate {
      guard gate.isPresent else { throw .notPresent(selector) }
      target = gate.gateSelector
    }
    try switchTask(to: target, cause: cause, returnAddress: next, 0)
    return true
  }
}
