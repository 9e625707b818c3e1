internal import X86

/// What IRET takes from the stack, and what it makes of it.
///
/// Reference: SDM vol. 2A, IRET.
extension Processor {
  func interruptReturn(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let size = instruction.operandSize
    if !cpu.isProtected {
      try returnReal(size)
    } else if cpu.isVirtual8086 {
      let isVirtual = cpu.ioPrivilege < 3
      guard !isVirtual || size == 2 && cpu.cr4.contains(.virtual8086) else { throw .protection }
      try returnReal(size, isVirtual: isVirtual)
    } else if cpu.is64Bit {
      try returnLong(size)
    } else {
      try returnProtected(size, instruction.length)
    }
    if cpu.nmiBlocked != 0 {
      cpu.nmiBlocked = 0
      // One may have come meanwhile.
      doorbell.ring()
    }
    cpu.interruptShadow = 0
    return .jumped
  }

  /// - Parameter isVirtual: Whether the interrupt flag is the virtual one.
  private func returnReal(_ size: UInt8, isVirtual: Bool = false) throws(GuestFault) {
    var stack = currentStack
    let pointer = try pop(size: size, from: &stack)
    let selector = UInt16(truncatingIfNeeded: try pop(size: size, from: &stack))
    let flags = try pop(size: size, from: &stack)
    guard pointer <= UInt64(cpu[.cs].limit) else { throw .protection }
    if isVirtual { try checkVirtualFlags(flags) }
    commit(stack)
    loadRealSegment(.cs, selector)
    cpu.instructionPointer = pointer
    // Virtual-8086 code may not change its I/O privilege, and neither mode its virtual flags.
    let fixed: RFLAGS = [.virtualInterrupt, .virtualInterruptPending]
    let kept = cpu.systemFlags & fixed.rawValue
    restoreFlags(flags, size, privilege: cpu.isVirtual8086 ? 3 : 0)
    cpu.systemFlags = (cpu.systemFlags & ~fixed.rawValue) | kept
    if isVirtual { setVirtualInterrupt(flags & RFLAGS.interrupt.rawValue != 0) }
  }

  /// From 64-bit code: always five words, to any privilege level and code size.
  private func returnLong(_ size: UInt8) throws(GuestFault) {
    if cpu.hasFlag(.nestedTask) { throw .protection }
    let pointer = cpu.registers[4]
    let count = Int(size) * 5
    guard pointer.isCanonical && (pointer &+ UInt64(count - 1)).isCanonical else {
      throw GuestFault(.stackFault)
    }
    let window = try window(pointer, count, as: dataRead)
    var bytes: InlineArray<40, UInt8> = .init(repeating: 0)
    unsafe withUnsafeMutableBytes(of: &bytes) { whole in
      unsafe copy(from: window, at: 0, to: UnsafeMutableRawBufferPointer(rebasing: whole[..<count]))
    }
    func word(_ index: Int) -> UInt64 {
      unsafe withUnsafeBytes(of: bytes) { whole in
        let offset = index * Int(size)
        return switch size {
        case 8: unsafe whole.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        case 4: UInt64(unsafe whole.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        default: UInt64(unsafe whole.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
      }
    }
    let selector = UInt16(truncatingIfNeeded: word(1))
    try finishReturn(
      ReturnFrame(
        pointer: word(0), selector: selector, flags: word(2), stackPointer: word(3),
        stackSelector: UInt16(truncatingIfNeeded: word(4))),
      size: size)
  }

  /// From 16- or 32-bit code of protected mode, in long mode or not.
  private func returnProtected(_ size: UInt8, _ length: UInt8) throws(GuestFault) {
    if cpu.hasFlag(.nestedTask) {
      if cpu.isLongMode { throw .protection }
      try returnFromTask(length)
      return
    }
    var stack = currentStack
    let pointer = try pop(size: size, from: &stack)
    let selector = UInt16(truncatingIfNeeded: try pop(size: size, from: &stack))
    let flags = try pop(size: size, from: &stack)
    var frame = ReturnFrame(pointer: pointer, selector: selector, flags: flags)
    if size == 4 && cpu.privilege == 0 && !cpu.isLongMode
      && flags & RFLAGS.virtual8086.rawValue != 0
    {
      try returnToVirtual8086(frame, &stack)
      return
    }
    if selector & 3 > UInt16(cpu.privilege) {
      frame.stackPointer = try pop(size: size, from: &stack)
      frame.stackSelector = UInt16(truncatingIfNeeded: try pop(size: size, from: &stack))
    } else {
      frame.samePrivilege = stack
    }
    try finishReturn(frame, size: size)
  }

  private func returnToVirtual8086(
    _ frame: ReturnFrame, _ stack: inout StackCursor
  ) throws(GuestFault) {
    let pointer = try pop(size: 4, from: &stack)
    var selectors: InlineArray<5, UInt16> = .init(repeating: 0)
    for index in 0..<5 {
      selectors[index] = UInt16(truncatingIfNeeded: try pop(size: 4, from: &stack))
    }
    cpu.flags = RFLAGS(rawValue: frame.flags & RFLAGS.writable.rawValue | 2)
    cpu.privilege = 3
    let names: InlineArray<5, SegmentName> = [.ss, .es, .ds, .fs, .gs]
    for index in 0..<5 { loadRealSegment(names[index], selectors[index]) }
    loadRealSegment(.cs, frame.selector)
    cpu.registers[4] = pointer & 0xffff_ffff
    cpu.instructionPointer = frame.pointer & 0xffff
  }

  private func finishReturn(_ frame: ReturnFrame, size: UInt8) throws(GuestFault) {
    let privilege = UInt8(frame.selector & 3)
    let code = try returnSegment(frame.selector)
    try checkTarget(frame.pointer, code)
    let oldPrivilege = cpu.privilege
    if let stack = frame.samePrivilege {
      commit(stack)
    } else {
      let stack = try outerStack(frame.stackSelector, privilege: privilege, code)
      let isLongStack = cpu.isLongMode && code.attributes[.long]
      cpu[.ss] = stack
      setRegister(
        4, size: isLongStack ? 8 : stack.attributes[.defaultBig] ? 4 : 2, frame.stackPointer)
    }
    restoreFlags(frame.flags, size, privilege: oldPrivilege)
    cpu[.cs] = code.register(frame.selector)
    cpu.privilege = privilege
    cpu.instructionPointer = frame.pointer
    if privilege > oldPrivilege { dropInnerSegments() }
  }
}

/// A far return's or IRET's words.
struct ReturnFrame: BitwiseCopyable {
  var pointer: UInt64
  var selector: UInt16
  var flags: UInt64 = 0
  var stackPointer: UInt64 = 0
  var stackSelector: UInt16 = 0
  /// The stack after the pops, for a return that keeps SS.
  var samePrivilege: StackCursor?
}

extension RFLAGS {
  /// Every flag that has a meaning.
  static let writable = RFLAGS(rawValue: 0x3f_7fd5)
}

/// What far returns and IRET have in common.
extension Processor {
  /// The code segment that a return goes to: as privileged as the selector asks, and no more than
  /// now.
  func returnSegment(_ selector: UInt16) throws(GuestFault) -> Descriptor {
    guard selector & 0xfffc != 0 else { throw .protection }
    let privilege = UInt8(selector & 3)
    guard var code = try descriptor(selector), code.isCode, privilege >= cpu.privilege,
      code.isConforming ? code.privilege <= privilege : code.privilege == privilege,
      !(cpu.isLongMode && code.attributes[.long] && code.attributes[.defaultBig])
    else { throw .protection(selector) }
    guard code.isPresent else { throw .notPresent(selector) }
    try markAccessed(&code, selector)
    return code
  }

  /// #GP(0) unless a new instruction pointer is in its segment.
  func checkTarget(_ pointer: UInt64, _ code: Descriptor) throws(GuestFault) {
    if cpu.isLongMode && code.attributes[.long] {
      guard pointer.isCanonical else { throw .protection }
    } else if pointer > UInt64(code.limit) {
      throw .protection
    }
  }

  /// SS for a return to a privilege level; null is allowed for 64-bit code below level 3.
  func outerStack(
    _ selector: UInt16, privilege: UInt8, _ code: Descriptor
  ) throws(GuestFault) -> SegmentRegister {
    if selector & 0xfffc == 0 {
      let mayBeNull = cpu.isLongMode && code.attributes[.long] && privilege < 3
      guard mayBeNull && selector & 3 == UInt16(privilege) else { throw .protection }
      return nullStack(privilege)
    }
    return try stackSegment(selector, privilege: privilege, otherwise: .generalProtection, 0)
  }

  /// Makes data segments null that the new, lesser privilege may not use. Bases stay, as FS and
  /// GS of 64-bit code need them.
  func dropInnerSegments() {
    let names: InlineArray<4, SegmentName> = [.es, .ds, .fs, .gs]
    for index in 0..<4 {
      let name = names[index]
      let attributes = cpu[name].attributes
      let isConforming = attributes[.code] && attributes[.conformingOrDown]
      let isNull = !attributes[.present]
      let isInner = attributes[.privilege] < cpu.privilege
      if isNull || attributes[.codeOrData] && !isConforming && isInner {
        cpu[name].selector = 0
        cpu[name].attributes = SegmentAttributes()
      }
    }
  }

  /// Takes flags from a popped image, as far as a privilege level may change them.
  func restoreFlags(_ image: UInt64, _ size: UInt8, privilege: UInt8) {
    var changed: RFLAGS = [.arithmetic, .trap, .direction, .nestedTask]
    if size > 2 { changed.formUnion([.resume, .alignmentCheck, .identification]) }
    if privilege <= cpu.ioPrivilege { changed.insert(.interrupt) }
    if privilege == 0 {
      changed.insert(.ioPrivilege)
      if size > 2 { changed.formUnion([.virtualInterrupt, .virtualInterruptPending]) }
    }
    let kept = cpu.flags.rawValue & ~changed.rawValue
    cpu.flags = RFLAGS(rawValue: kept | (image & changed.rawValue))
  }
}
