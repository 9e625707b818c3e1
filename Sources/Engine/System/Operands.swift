internal import X86

extension GuestFault {
  /// #GP with a selector as its error code.
  static func protection(_ selector: UInt16, _ external: UInt32 = 0) -> GuestFault {
    GuestFault(.generalProtection, errorCode: UInt32(selector & 0xfffc) | external)
  }
  static func notPresent(_ selector: UInt16, _ external: UInt32 = 0) -> GuestFault {
    GuestFault(.segmentNotPresent, errorCode: UInt32(selector & 0xfffc) | external)
  }
  static func stack(_ selector: UInt16, _ external: UInt32 = 0) -> GuestFault {
    GuestFault(.stackFault, errorCode: UInt32(selector & 0xfffc) | external)
  }
  static func taskState(_ selector: UInt16, _ external: UInt32 = 0) -> GuestFault {
    GuestFault(.invalidTaskState, errorCode: UInt32(selector & 0xfffc) | external)
  }
}

/// The low `size` bytes set: 1, 2, 4 or 8.
@inline(always)
func mask(bytes size: UInt8) -> UInt64 {
  size >= 8 ? .max : (1 &<< (UInt64(size) &* 8)) &- 1
}

/// What kind of code runs, as far as addresses and privileges go.
extension CPUState {
  /// Protected mode, virtual-8086 mode included.
  var isProtected: Bool { cr0.contains(.protection) }
  var isVirtual8086: Bool { systemFlags & RFLAGS.virtual8086.rawValue != 0 }
  /// Segment registers hold paragraphs instead of selectors.
  var hasRealSegments: Bool { !isProtected || isVirtual8086 }
  var isLongMode: Bool { efer.contains(.longModeActive) }
  var ioPrivilege: UInt8 { UInt8(truncatingIfNeeded: systemFlags &>> 12) & 3 }
  func hasFlag(_ flag: RFLAGS) -> Bool { systemFlags & flag.rawValue != 0 }
}

extension Processor {
  /// The low `size` bytes of a general register.
  func register(_ number: UInt8, size: UInt8) -> UInt64 {
    cpu.registers[Int(number & 15)] & mask(bytes: size)
  }

  /// Writes a general register as instructions do: 4 bytes clear the upper half, 1 and 2 keep it.
  func setRegister(_ number: UInt8, size: UInt8, _ value: UInt64) {
    let index = Int(number & 15)
    switch size {
    case 8: cpu.registers[index] = value
    case 4: cpu.registers[index] = value & 0xffff_ffff
    default:
      let kept = cpu.registers[index] & ~mask(bytes: size)
      cpu.registers[index] = kept | (value & mask(bytes: size))
    }
  }

  /// The offset in its segment of the memory operand, cut to the address size.
  func effectiveAddress(of instruction: borrowing Instruction) -> UInt64 {
    var offset = UInt64(bitPattern: instruction.displacement)
    if instruction.base == Instruction.instructionPointer {
      offset &+= cpu.instructionPointer &+ UInt64(instruction.length)
    } else if instruction.base < 16 {
      offset &+= cpu.registers[Int(instruction.base)]
    }
    if instruction.index < 16 {
      offset &+= cpu.registers[Int(instruction.index)] &<< UInt64(instruction.scaleShift)
    }
    return offset & mask(bytes: instruction.addressSize)
  }

  /// The linear address of the memory operand, `size` bytes of which are about to be accessed.
  func linearAddress(
    of instruction: borrowing Instruction, size: Int, for access: Access
  ) throws(GuestFault) -> UInt64 {
    try linearAddress(
      segment: instruction.segment, offset: effectiveAddress(of: instruction), size: size,
      for: access)
  }

  /// A segmented address made linear, after the segment's checks; #SS(0) where SS is at fault,
  /// else #GP(0).
  func linearAddress(
    segment: UInt8, offset: UInt64, size: Int, for access: Access
  ) throws(GuestFault) -> UInt64 {
    let isStack = segment == SegmentName.ss.rawValue
    let last = UInt64(truncatingIfNeeded: size &- 1)
    if cpu.is64Bit {
      let base =
        segment >= SegmentName.fs.rawValue ? cpu.segments[Int(segment & 7)].base : 0
      let linear = base &+ offset
      if linear.isCanonical && (linear &+ last).isCanonical { return linear }
      throw GuestFault(isStack ? .stackFault : .generalProtection)
    }
    let register = cpu.segments[Int(segment & 7)]
    guard register.allows(offset, last: last),
      register.allows(access, isReal: !cpu.isProtected)
    else { throw GuestFault(isStack ? .stackFault : .generalProtection) }
    return (register.base &+ offset) & 0xffff_ffff
  }

  /// The value of a general-register, memory, segment or immediate operand, zero-extended
  /// (immediates sign-extended).
  func readOperand(
    _ index: Int, of instruction: borrowing Instruction
  ) throws(GuestFault) -> UInt64 {
    let operand = instruction.operands[index]
    switch operand.kind {
    case .general: return register(operand.number, size: operand.size)
    case .highByte: return cpu.registers[Int(operand.number & 3)] &>> 8 & 0xff
    case .segment: return UInt64(cpu.segments[Int(operand.number & 7)].selector)
    case .immediate, .relative: return UInt64(bitPattern: instruction.immediate)
    case .memory:
      let size = Int(operand.size)
      let linear = try linearAddress(of: instruction, size: size, for: .read)
      return try readLinear(linear, size: size, as: dataRead)
    case .none, .vector, .mmx, .x87, .control, .debug: throw .undefined
    }
  }

  /// Stores the low bytes of a value into a general-register or memory operand.
  func writeOperand(
    _ index: Int, of instruction: borrowing Instruction, _ value: UInt64
  ) throws(GuestFault) {
    let operand = instruction.operands[index]
    switch operand.kind {
    case .general: setRegister(operand.number, size: operand.size, value)
    case .highByte:
      let place = Int(operand.number & 3)
      cpu.registers[place] = (cpu.registers[place] & ~0xff00) | (value & 0xff) &<< 8
    case .memory:
      try writeMemoryOperand(of: instruction, size: Int(operand.size), value)
    case .none, .segment, .immediate, .relative, .vector, .mmx, .x87, .control, .debug:
      throw .undefined
    }
  }

  /// Stores `size` bytes at the memory operand.
  func writeMemoryOperand(
    of instruction: borrowing Instruction, size: Int, _ value: UInt64
  ) throws(GuestFault) {
    let linear = try linearAddress(of: instruction, size: size, for: .write)
    try writeLinear(linear, size: size, value: value, as: dataWrite)
  }
}

extension SegmentRegister {
  /// Whether the offsets from `offset` to `offset + last` are in the segment.
  func allows(_ offset: UInt64, last: UInt64) -> Bool {
    let (end, wraps) = offset.addingReportingOverflow(last)
    if wraps { return false }
    // What wraps around in a segment of 4 GiB is let through, as Intel's processors do.
    guard expandsDown else { return end <= UInt64(limit) || limit == .max }
    return offset > UInt64(limit) && end <= (attributes[.defaultBig] ? 0xffff_ffff : 0xffff)
  }
}
