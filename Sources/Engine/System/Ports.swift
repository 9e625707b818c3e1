internal import X86

/// IN, OUT, INS, OUTS and who may use them.
extension Processor {
  /// #GP(0) unless IOPL or the task state's bitmap lets the current code use ports.
  ///
  /// Reference: SDM vol. 1, section 19.5.2.
  private func checkPort(_ port: UInt16, _ size: Int) throws(GuestFault) {
    let isFree =
      !cpu.isProtected || (!cpu.isVirtual8086 && cpu.privilege <= cpu.ioPrivilege)
    if isFree { return }
    let task = cpu[.task]
    // Only 32-bit (and 64-bit) task states have a bitmap.
    guard task.attributes[.present], task.attributes[.type] & 8 != 0, task.limit >= 103 else {
      throw .protection
    }
    let start = try readLinear((task.base &+ 102) & linearMask, size: 2, as: .tableRead)
    let offset = start + UInt64(port >> 3)
    guard offset + 1 <= UInt64(task.limit) else { throw .protection }
    let bits = try readLinear((task.base &+ offset) & linearMask, size: 2, as: .tableRead)
    let wanted = ((UInt64(1) << UInt64(size)) - 1) << UInt64(port & 7)
    guard bits & wanted == 0 else { throw .protection }
  }

  /// Bytes that go through the port: even opcodes move one.
  private func portSize(_ instruction: borrowing Instruction) -> Int {
    instruction.opcode & 1 == 0 ? 1 : min(4, Int(instruction.operandSize))
  }

  private func port(_ instruction: borrowing Instruction) -> UInt16 {
    instruction.immediateSize > 0
      ? UInt16(UInt8(truncatingIfNeeded: instruction.immediate))
      : UInt16(truncatingIfNeeded: cpu.registers[2])
  }

  func input(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let (port, size) = (port(instruction), portSize(instruction))
    try checkPort(port, size)
    let value = environment.readPort(port, size: size)
    setRegister(0, size: UInt8(size), UInt64(value))
    return .next
  }

  func output(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let (port, size) = (port(instruction), portSize(instruction))
    try checkPort(port, size)
    let value = UInt32(truncatingIfNeeded: register(0, size: UInt8(size)))
    environment.writePort(port, value: value, size: size)
    return .next
  }

  /// INS and OUTS: an element at a time, as each is a transaction with a device.
  func portString(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let port = UInt16(truncatingIfNeeded: cpu.registers[2])
    let size = portSize(instruction)
    try checkPort(port, size)
    let step = cpu.hasFlag(.direction) ? 0 &- UInt64(size) : UInt64(size)
    let width = instruction.addressSize
    let repeats = instruction.isRepeated
    while !repeats || register(1, size: width) != 0 {
      if instruction.operation == .inputString {
        try inputElement(port, size, width)
        setRegister(7, size: width, register(7, size: width) &+ step)
      } else {
        try outputElement(port, size, width, instruction.segment)
        setRegister(6, size: width, register(6, size: width) &+ step)
      }
      if !repeats { return .next }
      setRegister(1, size: width, register(1, size: width) &- 1)
      if mustPause && register(1, size: width) != 0 { return .jumped }
    }
    return .next
  }

  private func inputElement(_ port: UInt16, _ size: Int, _ width: UInt8) throws(GuestFault) {
    let linear = try linearAddress(
      segment: SegmentName.es.rawValue, offset: register(7, size: width), size: size, for: .write)
    // The device must not lose a byte that then has nowhere to go.
    let window = try window(linear, size, as: dataWrite)
    writeValue(UInt64(environment.readPort(port, size: size)), to: window)
  }

  private func outputElement(
    _ port: UInt16, _ size: Int, _ width: UInt8, _ segment: UInt8
  ) throws(GuestFault) {
    let linear = try linearAddress(
      segment: segment, offset: register(6, size: width), size: size, for: .read)
    let value = try readLinear(linear, size: size, as: dataRead)
    environment.writePort(port, value: UInt32(truncatingIfNeeded: value), size: size)
  }

  /// Whether a repeated instruction should let the run loop look around between two pieces.
  var mustPause: Bool { cpu.attention != 0 || cpu.hasFlag(.trap) }
}

extension Instruction {
  /// Whether REP, REPE or REPNE stands before it.
  var isRepeated: Bool { !prefixes.isDisjoint(with: [.repeated, .repeatNotEqual]) }
}
