internal import X86

/// MOV to and from control registers. Reference: SDM vol. 2B, MOV—Move to/from Control Registers.
extension Processor {
  func moveFromControl(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let value: UInt64 =
      switch try controlRegister(instruction) {
      case 0: cpu.cr0.rawValue
      case 2: cpu.cr2
      case 3: cpu.cr3
      case 4: cpu.cr4.rawValue
      default: UInt64(environment.taskPriority)
      }
    setRegister(modRMRegisterOperand(instruction), size: controlSize, value)
    return .next
  }

  func moveToControl(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let number = try controlRegister(instruction)
    let value = register(modRMRegisterOperand(instruction), size: controlSize)
    switch number {
    case 0: try writeCR0(value)
    case 2:
      cpu.cr2 = value
      return .next
    case 3: try writeCR3(value)
    case 4: try writeCR4(value)
    default:
      guard value < 16 else { throw .protection }
      environment.taskPriority = UInt8(value)
    }
    return .nextInNewMode
  }

  /// Whatever the prefixes, these instructions move whole registers.
  private var controlSize: UInt8 { cpu.is64Bit ? 8 : 4 }

  private func controlRegister(
    _ instruction: borrowing Instruction
  ) throws(GuestFault) -> UInt8 {
    var number = instruction.modRMRegister
    for index in 0..<2 where instruction.operands[index].kind == .control {
      number = instruction.operands[index].number
    }
    switch number {
    case 0, 2, 3, 4, 8: break
    default: throw .undefined
    }
    try requireSupervisor()
    return number
  }

  package func writeCR0(_ value: UInt64) throws(GuestFault) {
    let known: CR0 = [
      .protection, .monitorCoprocessor, .emulation, .taskSwitched, .extensionType, .numericError,
      .writeProtect, .alignmentMask, .notWriteThrough, .cacheDisable, .paging,
    ]
    guard value >> 32 == 0 else { throw .protection }
    var new = CR0(rawValue: value).intersection(known)
    new.insert(.extensionType)
    guard !new.contains(.notWriteThrough) || new.contains(.cacheDisable),
      !new.contains(.paging) || new.contains(.protection)
    else { throw .protection }
    let old = cpu.cr0
    if new.contains(.paging) != old.contains(.paging) {
      try switchPaging(on: new.contains(.paging))
    }
    cpu.cr0 = new
    if !new.contains(.protection) { cpu.privilege = 0 }
    let changed = old.symmetricDifference(new)
    if !changed.isDisjoint(with: [.paging, .writeProtect, .protection]) { flushAllTranslations() }
  }

  /// Enters or leaves paging, and with it long mode where EFER asks for that.
  private func switchPaging(on: Bool) throws(GuestFault) {
    if on {
      if cpu.efer.contains(.longModeEnable) {
        guard cpu.cr4.contains(.physicalAddressExtension), !cpu[.cs].attributes[.long] else {
          throw .protection
        }
        cpu.efer.insert(.longModeActive)
      } else if cpu.cr4.contains(.physicalAddressExtension) {
        guard loadPageDirectoryPointers() else { throw .protection }
      }
    } else {
      guard !cpu.is64Bit, !cpu.cr4.contains(.processContextIDs) else { throw .protection }
      cpu.efer.remove(.longModeActive)
    }
  }

  package func writeCR3(_ value: UInt64) throws(GuestFault) {
    let hasContexts = cpu.cr4.contains(.processContextIDs)
    let keeps = hasContexts && value >> 63 != 0
    let address = keeps ? value & ~(1 << 63) : value
    if cpu.isLongMode {
      guard address >> UInt64(Processor.physicalAddressBits) == 0 else { throw .protection }
    }
    let old = cpu.cr3
    cpu.cr3 = cpu.isLongMode ? address : address & 0xffff_ffff
    if cpu.usesPageDirectoryPointers && !loadPageDirectoryPointers() {
      cpu.cr3 = old
      throw .protection
    }
    switchAddressSpace(keeping: keeps)
  }

  package func writeCR4(_ value: UInt64) throws(GuestFault) {
    let new = CR4(rawValue: value)
    let old = cpu.cr4
    guard new.isSubset(of: offeredCR4) else { throw .protection }
    if cpu.isLongMode && !new.contains(.physicalAddressExtension) { throw .protection }
    if new.contains(.processContextIDs) && !old.contains(.processContextIDs) {
      guard cpu.isLongMode && cpu.cr3 & 0xfff == 0 else { throw .protection }
    }
    let changed = old.symmetricDifference(new)
    cpu.cr4 = new
    let shapesPaging: CR4 = [.physicalAddressExtension, .pageSizeExtensions, .globalPages]
    if cpu.usesPageDirectoryPointers && !changed.isDisjoint(with: shapesPaging) {
      guard loadPageDirectoryPointers() else {
        cpu.cr4 = old
        throw .protection
      }
    }
    let flushes: CR4 = [
      .physicalAddressExtension, .pageSizeExtensions, .globalPages, .processContextIDs, .la57,
      .supervisorExecutionPrevention, .supervisorAccessPrevention,
    ]
    if !changed.isDisjoint(with: flushes) { flushAllTranslations() }
  }

  /// The bits of CR4 whose features CPUID offers.
  private var offeredCR4: CR4 {
    let basic = environment.identify(leaf: 1, subleaf: 0)
    let more = environment.identify(leaf: 7, subleaf: 0)
    var offered: CR4 = [.performanceCounters]
    func add(_ bit: CR4, _ word: UInt32, _ place: UInt32) {
      if word >> place & 1 != 0 { offered.insert(bit) }
    }
    add([.virtual8086, .protectedVirtualInterrupts], basic.edx, 1)
    add(.debuggingExtensions, basic.edx, 2)
    add(.pageSizeExtensions, basic.edx, 3)
    add(.timeStampDisable, basic.edx, 4)
    add(.physicalAddressExtension, basic.edx, 6)
    add(.machineCheck, basic.edx, 7)
    add(.globalPages, basic.edx, 13)
    add(.fxsr, basic.edx, 24)
    add(.simdExceptions, basic.edx, 25)
    add(.processContextIDs, basic.ecx, 17)
    add(.xsave, basic.ecx, 26)
    add(.fsgsbase, more.ebx, 0)
    add(.supervisorExecutionPrevention, more.ebx, 7)
    add(.supervisorAccessPrevention, more.ebx, 20)
    add(.userModeInstructionPrevention, more.ecx, 2)
    return offered
  }
}

extension CPUState {
  /// PAE paging outside long mode.
  package var usesPageDirectoryPointers: Bool {
    cr0.contains(.paging) && cr4.contains(.physicalAddressExtension) && !isLongMode
  }
}

extension Processor {
  /// Loads the four page-directory pointers from where CR3 points; false, with nothing loaded, where reserved bits are set.
  @discardableResult
  func loadPageDirectoryPointers() -> Bool {
    var pointers: InlineArray<4, UInt64> = .init(repeating: 0)
    let reserved = ~Processor.frameMask & ~0xe19
    for index in 0..<4 {
      let place = cpu.cr3 & 0xffff_ffe0 &+ UInt64(index) * 8
      let pointer = unsafe hostPointer(place)?.load(as: UInt64.self) ?? .max
      if pointer & 1 != 0 && pointer & reserved != 0 { return false }
      pointers[index] = pointer
    }
    cpu.pageDirectoryPointers = pointers
    return true
  }
}

/// SMSW, LMSW, CLTS and the invalidations.
extension Processor {
  func storeMachineStatus(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkUserModePrevention()
    if instruction.hasMemory {
      try writeMemoryOperand(of: instruction, size: 2, cpu.cr0.rawValue)
    } else {
      setRegister(
        modRMRegisterOperand(instruction), size: instruction.operandSize, cpu.cr0.rawValue)
    }
    return .next
  }

  /// LMSW: bits 0 to 3 of CR0; PE cannot be cleared this way.
  func loadMachineStatus(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try requireSupervisor()
    let value: UInt64
    if instruction.hasMemory {
      let linear = try linearAddress(of: instruction, size: 2, for: .read)
      value = try readLinear(linear, size: 2, as: dataRead)
    } else {
      value = register(modRMRegisterOperand(instruction), size: 2)
    }
    let sticky = cpu.cr0.rawValue & CR0.protection.rawValue
    try writeCR0((cpu.cr0.rawValue & ~0xf) | (value & 0xf) | sticky)
    return .nextInNewMode
  }

  func clearTaskSwitched() throws(GuestFault) -> Outcome {
    try requireSupervisor()
    cpu.cr0.remove(.taskSwitched)
    return .nextInNewMode
  }

  func invalidatePage(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try requireSupervisor()
    let offset = effectiveAddress(of: instruction)
    let segment = instruction.segment
    let usesBase = !cpu.is64Bit || segment >= SegmentName.fs.rawValue
    let base = usesBase ? cpu.segments[Int(segment & 7)].base : 0
    let linear = (base &+ offset) & (cpu.is64Bit ? .max : 0xffff_ffff)
    // An address that is not canonical has no translation to forget.
    if linear.isCanonical { flushTranslation(of: linear) }
    return .nextInNewMode
  }

  func invalidateProcessContext(
    _ instruction: borrowing Instruction
  ) throws(GuestFault) -> Outcome {
    try requireSupervisor()
    let type = register(instruction.operands[0].number, size: controlSize)
    let linear = try linearAddress(of: instruction, size: 16, for: .read)
    let context = try readLinear(linear, size: 8, as: dataRead)
    let next = (linear &+ 8) & linearMask
    let address = try readLinear(next, size: 8, as: dataRead)
    let isCurrent = context == cpu.cr3 & 0xfff
    guard type < 4, type > 1 || context >> 12 == 0,
      type > 1 || context == 0 || cpu.cr4.contains(.processContextIDs)
    else { throw .protection }
    switch type {
    case 0:
      guard address.isCanonical else { throw .protection }
      if isCurrent { flushTranslation(of: address) } else { flushAllTranslations() }
    case 1 where isCurrent: flushNonGlobalTranslations()
    default: flushAllTranslations()
    }
    return .nextInNewMode
  }
}
