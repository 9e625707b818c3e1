internal import X86

/// A stack while something is pushed or popped: registers change only at ``Processor/commit(_:)``,
/// so that a fault on the way leaves them alone.
struct StackCursor: BitwiseCopyable {
  var segment: SegmentRegister
  var pointer: UInt64
  /// How many bytes of RSP are the stack pointer: 2, 4 or 8.
  var width: UInt8
  var access: MemoryAccess
  /// What a stack fault pushes.
  var errorCode: UInt32 = 0
}

extension Processor {
  /// How many bytes of RSP the current code uses.
  var stackWidth: UInt8 {
    if cpu.is64Bit { return 8 }
    return cpu[.ss].attributes[.defaultBig] ? 4 : 2
  }

  /// The current stack.
  var currentStack: StackCursor {
    StackCursor(
      segment: cpu[.ss], pointer: cpu.registers[4], width: stackWidth,
      access: cpu.privilege == 3 ? .user : [])
  }

  func push(
    _ value: UInt64, size: UInt8, on stack: inout StackCursor
  ) throws(GuestFault) {
    let pointer = stack.pointer &- UInt64(size)
    let linear = try stackAddress(stack, pointer, size, for: .write)
    try writeLinear(linear, size: Int(size), value: value, as: stack.access.union(.write))
    stack.pointer = pointer
  }

  func pop(
    size: UInt8, from stack: inout StackCursor
  ) throws(GuestFault) -> UInt64 {
    let linear = try stackAddress(stack, stack.pointer, size, for: .read)
    let value = try readLinear(linear, size: Int(size), as: stack.access)
    stack.pointer = stack.pointer &+ UInt64(size)
    return value
  }

  /// Where the stack has `size` bytes at `pointer`, after SS's checks.
  func stackAddress(
    _ stack: StackCursor, _ pointer: UInt64, _ size: UInt8, for access: Access
  ) throws(GuestFault) -> UInt64 {
    let last = UInt64(size) &- 1
    if stack.width == 8 {
      if pointer.isCanonical && (pointer &+ last).isCanonical { return pointer }
      throw GuestFault(.stackFault, errorCode: stack.errorCode)
    }
    let offset = pointer & mask(bytes: stack.width)
    guard stack.segment.allows(offset, last: last),
      stack.segment.allows(access, isReal: !cpu.isProtected)
    else { throw GuestFault(.stackFault, errorCode: stack.errorCode) }
    return (stack.segment.base &+ offset) & 0xffff_ffff
  }

  /// Makes the cursor's pointer the stack pointer.
  func commit(_ stack: StackCursor) {
    setRegister(4, size: stack.width, stack.pointer)
  }
}
