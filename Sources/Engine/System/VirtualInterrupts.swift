internal import X86

/// INT n of virtual-8086 code where CR4.VME lets it stay in the 8086 program.
///
/// Reference: SDM vol. 3B, section 20.3.3.
extension Processor {
  /// Whether the task state's redirection bitmap, the 32 bytes before the one for ports, leaves a
  /// vector to the program's own table.
  func isRedirected(_ vector: UInt8) throws(GuestFault) -> Bool {
    let task = cpu[.task]
    guard task.attributes[.present], task.attributes[.type] & 8 != 0, task.limit >= 103 else {
      throw .protection
    }
    let ports = try readLinear((task.base &+ 102) & linearMask, size: 2, as: .tableRead)
    let offset = ports &+ UInt64(vector >> 3) &- 32
    guard offset <= UInt64(task.limit) else { throw .protection }
    let bits = try readLinear((task.base &+ offset) & linearMask, size: 1, as: .tableRead)
    return bits >> UInt64(vector & 7) & 1 == 0
  }

  /// Goes through the table at linear address 0 as an 8086 does. Below IOPL 3 the program's
  /// interrupt flag is the virtual one, and it believes to have IOPL 3.
  func redirect(_ vector: UInt8, returnAddress: UInt64) throws(GuestFault) {
    let pointer = try readLinear(UInt64(vector) * 4, size: 4, as: dataRead)
    var image = cpu.flags.rawValue
    var cleared: RFLAGS = [.trap, .interrupt]
    if cpu.ioPrivilege < 3 {
      cleared = [.trap, .virtualInterrupt]
      image = (image & ~RFLAGS.interrupt.rawValue) | RFLAGS.ioPrivilege.rawValue
      if cpu.hasFlag(.virtualInterrupt) { image |= RFLAGS.interrupt.rawValue }
    }
    var stack = currentStack
    try push(image, size: 2, on: &stack)
    try push(UInt64(cpu[.cs].selector), size: 2, on: &stack)
    try push(returnAddress, size: 2, on: &stack)
    commit(stack)
    cpu.systemFlags &= ~cleared.rawValue
    loadRealSegment(.cs, UInt16(truncatingIfNeeded: pointer &>> 16))
    cpu.instructionPointer = pointer & 0xffff
  }
}
