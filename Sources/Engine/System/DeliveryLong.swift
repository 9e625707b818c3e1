internal import X86

/// A gate of the long-mode interrupt table. Reference: SDM vol. 3A, section 6.14.1.
private struct LongGate {
  var low: Descriptor
  var high: UInt64
  var stackTable: UInt8 { UInt8(truncatingIfNeeded: low.rawValue &>> 32) & 7 }
  var offset: UInt64 { low.gateOffset & 0xffff_ffff | high &<< 32 }
}

extension Processor {
  /// Long mode: 16-byte gates, a frame of five quadwords, always 64-bit code.
  func deliverLong(_ event: Event) throws(GuestFault) {
    let external = event.external
    let gate = try longGate(event)
    let selector = gate.low.gateSelector
    let code = try handlerSegment(selector, external)
    guard code.attributes[.long] && !code.attributes[.defaultBig] else {
      throw .protection(selector, external)
    }
    guard gate.offset.isCanonical else {
      throw GuestFault(.generalProtection, errorCode: external)
    }
    let privilege = code.isConforming ? cpu.privilege : code.privilege
    let isInner = privilege < cpu.privilege
    var top = cpu.registers[4]
    if gate.stackTable != 0 {
      top = try taskStack(offset: 0x1c + UInt64(gate.stackTable) * 8, external)
    } else if isInner {
      top = try taskStack(offset: 4 + UInt64(privilege) * 8, external)
    }
    let stack = try pushLongFrame(event, on: top & ~15, privilege: privilege)
    if isInner { cpu[.ss] = nullStack(privilege) }
    enterHandler(gate.low, code, privilege: privilege)
    cpu.registers[4] = stack
    cpu.instructionPointer = gate.offset
  }

  private func longGate(_ event: Event) throws(GuestFault) -> LongGate {
    let code = UInt32(event.vector) << 3 | 2 | event.external
    let offset = UInt64(event.vector) * 16
    guard offset + 15 <= UInt64(cpu.interruptTable.limit) else {
      throw GuestFault(.generalProtection, errorCode: code)
    }
    let window = try window(cpu.interruptTable.base &+ offset, 16, as: .tableRead)
    var words: InlineArray<2, UInt64> = [0, 0]
    unsafe withUnsafeMutableBytes(of: &words) { unsafe copy(from: window, at: 0, to: $0) }
    let low = Descriptor(rawValue: words[0])
    guard low.systemType == .interruptGate32 || low.systemType == .trapGate32,
      !event.isSoftware || low.privilege >= cpu.privilege
    else { throw GuestFault(.generalProtection, errorCode: code) }
    guard low.isPresent else { throw GuestFault(.segmentNotPresent, errorCode: code) }
    return LongGate(low: low, high: words[1])
  }

  /// A stack pointer out of the 64-bit task state.
  private func taskStack(offset: UInt64, _ external: UInt32) throws(GuestFault) -> UInt64 {
    let task = cpu[.task]
    guard offset + 7 <= UInt64(task.limit) else { throw .taskState(task.selector, external) }
    let top = try readLinear(task.base &+ offset, size: 8, as: .tableRead)
    guard top.isCanonical else { throw GuestFault(.stackFault, errorCode: external) }
    return top
  }

  /// Pushes SS, RSP, RFLAGS, CS, RIP and the error code at once; returns the new stack pointer.
  private func pushLongFrame(
    _ event: Event, on top: UInt64, privilege: UInt8
  ) throws(GuestFault) -> UInt64 {
    let frame: InlineArray<6, UInt64> = [
      UInt64(event.errorCode ?? 0), event.returnAddress, UInt64(cpu[.cs].selector),
      flagsImage(event), cpu.registers[4], UInt64(cpu[.ss].selector),
    ]
    let skipped = event.errorCode == nil ? 8 : 0
    let pointer = top &- UInt64(48 - skipped)
    guard pointer.isCanonical && (top &- 1).isCanonical else {
      throw GuestFault(.stackFault, errorCode: event.external)
    }
    let access: MemoryAccess = privilege == 3 ? [.user, .write] : .write
    let window = try window(pointer, 48 - skipped, as: access)
    unsafe withUnsafeBytes(of: frame) { bytes in
      unsafe copy(from: UnsafeRawBufferPointer(rebasing: bytes[skipped...]), to: window, at: 0)
    }
    return pointer
  }
}

/// What delivery has in common in protected and long mode.
extension Processor {
  /// RFLAGS as the handler's frame has it.
  func flagsImage(_ event: Event) -> UInt64 {
    let flags = cpu.flags.rawValue
    return event.setsResume ? flags | RFLAGS.resume.rawValue : flags
  }

  /// The code segment that a gate names: code of the same or a lower privilege level, present.
  func handlerSegment(_ selector: UInt16, _ external: UInt32) throws(GuestFault) -> Descriptor {
    guard selector & 0xfffc != 0 else {
      throw GuestFault(.generalProtection, errorCode: external)
    }
    guard var code = try descriptor(selector), code.isCode, code.privilege <= cpu.privilege else {
      throw .protection(selector, external)
    }
    guard code.isPresent else { throw .notPresent(selector, external) }
    try markAccessed(&code, selector)
    return code
  }

  /// Loads CS and the flags that a handler starts with.
  func enterHandler(_ gate: Descriptor, _ code: Descriptor, privilege: UInt8) {
    cpu[.cs] = code.register(gate.gateSelector & 0xfffc | UInt16(privilege))
    cpu.privilege = privilege
    var cleared: RFLAGS = [.trap, .nestedTask, .resume, .virtual8086]
    // Interrupt gates have even types.
    if gate.attributes[.type] & 1 == 0 { cleared.insert(.interrupt) }
    cpu.systemFlags &= ~cleared.rawValue
  }
}
