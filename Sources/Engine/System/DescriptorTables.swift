internal import X86

/// LGDT, LIDT, LLDT, LTR and the instructions that store or inspect what they loaded.
extension Processor {
  /// UMIP keeps these from user code.
  func checkUserModePrevention() throws(GuestFault) {
    if cpu.privilege > 0 && cpu.cr4.contains(.userModeInstructionPrevention) { throw .protection }
  }

  /// Instructions that exist only where selectors do.
  private func checkSelectorMode() throws(GuestFault) {
    if cpu.hasRealSegments { throw .undefined }
  }

  func requireSupervisor() throws(GuestFault) {
    if cpu.privilege > 0 { throw .protection }
  }

  /// SGDT and SIDT.
  func storeDescriptorTable(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkUserModePrevention()
    let table = instruction.modRMRegister == 0 ? cpu.globalTable : cpu.interruptTable
    let size = cpu.is64Bit ? 8 : 4
    let linear = try linearAddress(of: instruction, size: 2 + size, for: .write)
    let window = try window(linear, 2 + size, as: dataWrite)
    var bytes: InlineArray<10, UInt8> = .init(repeating: 0)
    unsafe withUnsafeMutableBytes(of: &bytes) { whole in
      unsafe whole.storeBytes(of: table.limit, as: UInt16.self)
      unsafe whole.storeBytes(of: table.base, toByteOffset: 2, as: UInt64.self)
      unsafe copy(
        from: UnsafeRawBufferPointer(rebasing: whole[..<(2 + size)]), to: window, at: 0)
    }
    return .next
  }

  /// LGDT and LIDT.
  func loadDescriptorTable(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try requireSupervisor()
    let size = cpu.is64Bit ? 8 : 4
    let linear = try linearAddress(of: instruction, size: 2 + size, for: .read)
    let limit = try readLinear(linear, size: 2, as: dataRead)
    var base = try readLinear((linear &+ 2) & linearMask, size: size, as: dataRead)
    let operandSize = instruction.operandSize
    if size == 4 && operandSize == 2 { base &= 0xff_ffff }
    guard base.isCanonical else { throw .protection }
    let table = DescriptorTable(base: base, limit: UInt16(truncatingIfNeeded: limit))
    if instruction.modRMRegister == 2 {
      cpu.globalTable = table
    } else {
      cpu.interruptTable = table
    }
    return .next
  }

  /// SLDT and STR.
  func storeLocalSelector(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkSelectorMode()
    try checkUserModePrevention()
    let name: SegmentName = instruction.modRMRegister == 0 ? .localTable : .task
    try storeSelector(UInt64(cpu[name].selector), instruction)
    return .next
  }

  /// LLDT and LTR.
  func loadLocalSelector(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkSelectorMode()
    try requireSupervisor()
    let selector = UInt16(truncatingIfNeeded: try readSelector(instruction))
    if instruction.modRMRegister == 2 {
      try loadLocalTable(selector)
    } else {
      try loadTaskRegister(selector)
    }
    return .next
  }

  /// The two bytes of a selector operand.
  func readSelector(_ instruction: borrowing Instruction) throws(GuestFault) -> UInt64 {
    if instruction.hasMemory {
      let linear = try linearAddress(of: instruction, size: 2, for: .read)
      return try readLinear(linear, size: 2, as: dataRead)
    }
    return register(modRMRegisterOperand(instruction), size: 2)
  }

  /// The number of the general register that ModRM.rm names.
  func modRMRegisterOperand(_ instruction: borrowing Instruction) -> UInt8 {
    for index in 0..<4 {
      let operand = instruction.operands[index]
      if operand.place == .modRMMemory && operand.kind == .general { return operand.number }
    }
    return instruction.modRM & 7
  }

  func loadLocalTable(_ selector: UInt16) throws(GuestFault) {
    if selector & 0xfffc == 0 {
      cpu[.localTable] = .null(selector)
      return
    }
    guard selector & 4 == 0, let table = try descriptor(selector),
      table.systemType == .localTable
    else { throw .protection(selector) }
    guard table.isPresent else { throw .notPresent(selector) }
    cpu[.localTable] = try systemRegister(table, selector)
  }

  private func loadTaskRegister(_ selector: UInt16) throws(GuestFault) {
    guard selector & 0xfffc != 0 else { throw .protection }
    guard selector & 4 == 0, var task = try descriptor(selector),
      task.systemType == .availableTask32
        || (task.systemType == .availableTask16 && !cpu.isLongMode)
    else { throw .protection(selector) }
    guard task.isPresent else { throw .notPresent(selector) }
    task.rawValue |= 2 << 40  // busy
    let register = try systemRegister(task, selector)
    try storeAccessByte(task, selector)
    cpu[.task] = register
  }

  /// A system segment's register; in long mode the descriptor has 16 bytes.
  private func systemRegister(
    _ descriptor: Descriptor, _ selector: UInt16
  ) throws(GuestFault) -> SegmentRegister {
    var register = descriptor.register(selector)
    if cpu.isLongMode {
      guard let high = try descriptorHigh(selector), high &>> 40 & 0x1f == 0 else {
        throw .protection(selector)
      }
      register.base |= high &<< 32
      guard register.base.isCanonical else { throw .protection(selector) }
    }
    return register
  }
}

/// VERR, VERW, LAR, LSL, ARPL: they report in ZF, and fault only on their operands.
extension Processor {
  func verifySegment(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkSelectorMode()
    let selector = UInt16(truncatingIfNeeded: try readSelector(instruction))
    var isUsable = false
    if let descriptor = try visibleDescriptor(selector), !descriptor.isSystem {
      isUsable = instruction.modRMRegister == 4 ? descriptor.isReadable : descriptor.isWritableData
    }
    setZero(isUsable)
    return .next
  }

  func loadAccessRights(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkSelectorMode()
    let selector = UInt16(truncatingIfNeeded: try readSelector(instruction))
    let descriptor = try visibleDescriptor(selector)
    guard let descriptor, !descriptor.isSystem || hasRights(descriptor.systemType) else {
      setZero(false)
      return .next
    }
    let rights = descriptor.rawValue &>> 32 & 0xf0_ff00
    setRegister(instruction.operands[0].number, size: instruction.operandSize, rights)
    setZero(true)
    return .next
  }

  func loadSegmentLimit(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkSelectorMode()
    let selector = UInt16(truncatingIfNeeded: try readSelector(instruction))
    let descriptor = try visibleDescriptor(selector)
    guard let descriptor, !descriptor.isSystem || hasLimit(descriptor.systemType) else {
      setZero(false)
      return .next
    }
    setRegister(
      instruction.operands[0].number, size: instruction.operandSize, UInt64(descriptor.limit))
    setZero(true)
    return .next
  }

  func adjustRequestedPrivilege(
    _ instruction: borrowing Instruction
  ) throws(GuestFault) -> Outcome {
    try checkSelectorMode()
    let target = try readOperand(0, of: instruction)
    let source = try readOperand(1, of: instruction)
    if target & 3 < source & 3 {
      try writeOperand(0, of: instruction, (target & ~3) | (source & 3))
      setZero(true)
    } else {
      setZero(false)
    }
    return .next
  }

  /// A descriptor that the current privilege and the selector's may see; `nil` otherwise.
  private func visibleDescriptor(_ selector: UInt16) throws(GuestFault) -> Descriptor? {
    guard selector & 0xfffc != 0, let descriptor = try descriptor(selector) else { return nil }
    if descriptor.isCode && descriptor.isConforming { return descriptor }
    let requested = max(UInt8(selector & 3), cpu.privilege)
    return requested <= descriptor.privilege ? descriptor : nil
  }

  private func hasRights(_ type: SystemType?) -> Bool {
    switch type {
    case .localTable, .availableTask32, .busyTask32, .callGate32: true
    case .availableTask16, .busyTask16, .callGate16, .taskGate: !cpu.isLongMode
    case .interruptGate16, .trapGate16, .interruptGate32, .trapGate32, nil: false
    }
  }

  private func hasLimit(_ type: SystemType?) -> Bool {
    switch type {
    case .localTable, .availableTask32, .busyTask32: true
    case .availableTask16, .busyTask16: !cpu.isLongMode
    default: false
    }
  }

  private func setZero(_ value: Bool) {
    cpu.savedFlags = value ? cpu.savedFlags | 0x4000 : cpu.savedFlags & ~0x4000
  }
}
