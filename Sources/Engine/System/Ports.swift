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
    noteWatchedPort(port, size)
    profile?.note(.readPort(port))
    let value = outside { environment.readPort(port, size: size) }
    setRegister(0, size: UInt8(size), UInt64(value))
    return .next
  }

  func output(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let (port, size) = (port(instruction), portSize(instruction))
    try checkPort(port, size)
    let value = UInt32(truncatingIfNeeded: register(0, size: UInt8(size)))
    noteWatchedPort(port, size)
    profile?.note(.writePort(port))
    outside { environment.writePort(port, value: value, size: size) }
    return .next
  }

  /// INS and OUTS. Like KVM, INS reads ahead what goes into one page, and OUTS writes an element at
  /// a time.
  func portString(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let port = UInt16(truncatingIfNeeded: cpu.registers[2])
    let size = portSize(instruction)
    try checkPort(port, size)
    let width = instruction.addressSize
    let repeats = instruction.isRepeated
    while !repeats || register(1, size: width) != 0 {
      noteWatchedPort(port, size)
      var done: UInt64 = 1
      if instruction.operation == .inputString {
        done = try inputElements(port, size, width, repeats: repeats)
        movePointer(7, width, size, done)
      } else {
        try outputElement(port, size, width, instruction.segment)
        movePointer(6, width, size, done)
      }
      if !repeats { return .next }
      setRegister(1, size: width, register(1, size: width) &- done)
      if mustPause && register(1, size: width) != 0 { return .jumped }
    }
    return .next
  }

  private func movePointer(_ index: UInt8, _ width: UInt8, _ size: Int, _ count: UInt64) {
    let distance = UInt64(size) &* count
    let step = cpu.hasFlag(.direction) ? 0 &- distance : distance
    setRegister(index, size: width, register(index, size: width) &+ step)
  }

  /// Reads elements and stores them; returns how many.
  private func inputElements(
    _ port: UInt16, _ size: Int, _ width: UInt8, repeats: Bool
  ) throws(GuestFault) -> UInt64 {
    let es = SegmentName.es.rawValue
    let offset = register(7, size: width)
    let linear = try linearAddress(segment: es, offset: offset, size: size, for: .write)
    // The device must not lose a byte that then has nowhere to go.
    let target = try window(linear, size, as: dataWrite)
    var count = 1
    if repeats, !cpu.hasFlag(.direction), unsafe target.first.host != nil {
      let inPage = min(0x1000 - Int(linear & 0xfff), Self.readAhead) / size
      count = max(1, min(inPage, Int(min(register(1, size: width), 4096))))
      let isWhole =
        (try? linearAddress(segment: es, offset: offset, size: count * size, for: .write)) != nil
      if !isWhole { count = 1 }
    }
    var elements: InlineArray<1024, UInt8> = .init(repeating: 0)
    unsafe withUnsafeMutableBytes(of: &elements) { bytes in
      let wanted = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<(count * size)])
      profile?.note(.readPort(port))
      outside { unsafe environment.readPort(port, size: size, into: wanted) }
    }
    // Whoever answered may have changed the count.
    if repeats { count = Int(min(UInt64(count), register(1, size: width))) }
    try storeElements(elements, count, size, at: linear)
    return UInt64(count)
  }

  /// Bytes that INS reads at once.
  private static let readAhead = 1024

  private func storeElements(
    _ elements: InlineArray<1024, UInt8>, _ count: Int, _ size: Int, at linear: UInt64
  ) throws(GuestFault) {
    // Looked up anew: the memory may not be where it was before the device answered.
    let target = try window(linear, max(count * size, 1), as: dataWrite)
    unsafe withUnsafeBytes(of: elements) { bytes in
      if count == 1 {
        var value: UInt64 = 0
        for index in (0..<size).reversed() { value = value << 8 | UInt64(unsafe bytes[index]) }
        writeValue(value, to: target)
      } else {
        unsafe copy(
          from: UnsafeRawBufferPointer(rebasing: bytes[..<(count * size)]), to: target, at: 0)
      }
    }
  }

  private func outputElement(
    _ port: UInt16, _ size: Int, _ width: UInt8, _ segment: UInt8
  ) throws(GuestFault) {
    let linear = try linearAddress(
      segment: segment, offset: register(6, size: width), size: size, for: .read)
    let value = try readLinear(linear, size: size, as: dataRead)
    profile?.note(.writePort(port))
    outside { environment.writePort(port, value: UInt32(truncatingIfNeeded: value), size: size) }
  }

  /// Whether a repeated instruction should let the run loop look around between two pieces.
  var mustPause: Bool {
    (cpu.attention | run.debugHits | run.isStepping) != 0 || cpu.hasFlag(.trap)
  }
}

extension Instruction {
  /// Whether REP, REPE or REPNE stands before it.
  var isRepeated: Bool { !prefixes.isDisjoint(with: [.repeated, .repeatNotEqual]) }
}
