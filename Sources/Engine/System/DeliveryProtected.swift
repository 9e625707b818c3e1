internal import X86

extension Processor {
  /// Real mode: IP and CS out of the vector table, a frame of three words.
  ///
  /// Reference: SDM vol. 3B, section 20.1.4.
  func deliverReal(_ event: Event) throws(GuestFault) {
    let offset = UInt64(event.vector) * 4
    guard offset + 3 <= UInt64(cpu.interruptTable.limit) else { throw .protection }
    let address = (cpu.interruptTable.base &+ offset) & 0xffff_ffff
    let pointer = try readLinear(address, size: 4, as: .tableRead)
    var stack = currentStack
    try push(cpu.flags.rawValue, size: 2, on: &stack)
    try push(UInt64(cpu[.cs].selector), size: 2, on: &stack)
    try push(event.returnAddress, size: 2, on: &stack)
    commit(stack)
    let cleared: RFLAGS = [.interrupt, .trap, .alignmentCheck, .resume]
    cpu.systemFlags &= ~cleared.rawValue
    loadRealSegment(.cs, UInt16(truncatingIfNeeded: pointer &>> 16))
    cpu.instructionPointer = pointer & 0xffff
  }

  /// Protected mode without long mode: 8-byte gates of 16 or 32 bits, task gates.
  func deliverProtected(_ event: Event) throws(GuestFault) {
    let external = event.external
    let gate = try protectedGate(event)
    if gate.systemType == .taskGate {
      try switchTask(
        to: gate.gateSelector, cause: .interrupt, returnAddress: event.returnAddress, external)
      try pushTaskError(event)
      return
    }
    let selector = gate.gateSelector
    let code = try handlerSegment(selector, external)
    let privilege = code.isConforming ? cpu.privilege : code.privilege
    if cpu.isVirtual8086 && (code.isConforming || privilege != 0) {
      throw .protection(selector, external)
    }
    let isWide = gate.attributes[.type] & 8 != 0
    let offset = isWide ? gate.gateOffset : gate.gateOffset & 0xffff
    guard offset <= UInt64(code.limit) else {
      throw GuestFault(.generalProtection, errorCode: external)
    }
    var stack = currentStack
    stack.errorCode = external
    if privilege < cpu.privilege {
      stack = try innerStack(privilege, external)
    }
    try pushFrame(event, isWide: isWide, isInner: privilege < cpu.privilege, on: &stack)
    if cpu.isVirtual8086 {
      for name in [SegmentName.es, .ds, .fs, .gs] { cpu[name] = .null(0) }
    }
    cpu[.ss] = stack.segment
    enterHandler(gate, code, privilege: privilege)
    commit(stack)
    cpu.instructionPointer = offset
  }

  private func protectedGate(_ event: Event) throws(GuestFault) -> Descriptor {
    let code = UInt32(event.vector) << 3 | 2 | event.external
    let offset = UInt64(event.vector) * 8
    guard offset + 7 <= UInt64(cpu.interruptTable.limit) else {
      throw GuestFault(.generalProtection, errorCode: code)
    }
    let address = (cpu.interruptTable.base &+ offset) & 0xffff_ffff
    let gate = Descriptor(rawValue: try readLinear(address, size: 8, as: .tableRead))
    switch gate.systemType {
    case .taskGate, .interruptGate16, .trapGate16, .interruptGate32, .trapGate32: break
    default: throw GuestFault(.generalProtection, errorCode: code)
    }
    guard !event.isSoftware || gate.privilege >= cpu.privilege else {
      throw GuestFault(.generalProtection, errorCode: code)
    }
    guard gate.isPresent else { throw GuestFault(.segmentNotPresent, errorCode: code) }
    return gate
  }

  /// The stack that the task state has for an inner privilege level.
  func innerStack(_ privilege: UInt8, _ external: UInt32) throws(GuestFault) -> StackCursor {
    let task = cpu[.task]
    let isWide = task.attributes[.type] & 8 != 0
    let size: UInt64 = isWide ? 4 : 2
    let offset = isWide ? 4 + UInt64(privilege) * 8 : 2 + UInt64(privilege) * 4
    guard offset + size + 1 <= UInt64(task.limit) else {
      throw .taskState(task.selector, external)
    }
    let place = (task.base &+ offset) & 0xffff_ffff
    let pointer = try readLinear(place, size: Int(size), as: .tableRead)
    let selector = UInt16(
      truncatingIfNeeded: try readLinear(place &+ size, size: 2, as: .tableRead))
    guard selector & 0xfffc != 0 else {
      throw GuestFault(.invalidTaskState, errorCode: external)
    }
    let segment = try stackSegment(
      selector, privilege: privilege, otherwise: .invalidTaskState, external)
    return StackCursor(
      segment: segment, pointer: pointer, width: segment.attributes[.defaultBig] ? 4 : 2,
      access: privilege == 3 ? .user : [], errorCode: UInt32(selector & 0xfffc) | external)
  }

  private func pushFrame(
    _ event: Event, isWide: Bool, isInner: Bool, on stack: inout StackCursor
  ) throws(GuestFault) {
    let size: UInt8 = isWide ? 4 : 2
    if isInner {
      if cpu.isVirtual8086 {
        for name in [SegmentName.gs, .fs, .ds, .es] {
          try push(UInt64(cpu[name].selector), size: size, on: &stack)
        }
      }
      try push(UInt64(cpu[.ss].selector), size: size, on: &stack)
      try push(cpu.registers[4], size: size, on: &stack)
    }
    try push(flagsImage(event), size: size, on: &stack)
    try push(UInt64(cpu[.cs].selector), size: size, on: &stack)
    try push(event.returnAddress, size: size, on: &stack)
    if let code = event.errorCode { try push(UInt64(code), size: size, on: &stack) }
  }

  /// After a task switch by an exception with an error code, that goes to the new task's stack.
  private func pushTaskError(_ event: Event) throws(GuestFault) {
    guard let code = event.errorCode else { return }
    var stack = currentStack
    try push(UInt64(code), size: cpu[.task].attributes[.type] & 8 != 0 ? 4 : 2, on: &stack)
    commit(stack)
  }
}
