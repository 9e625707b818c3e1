internal import X86

/// CPUID, the clocks and extended control registers: what the processor says of itself.
extension Processor {
  func identify() -> Outcome {
    let leaf = UInt32(truncatingIfNeeded: cpu.registers[0])
    let subleaf = UInt32(truncatingIfNeeded: cpu.registers[1])
    let answer = identity(leaf: leaf, subleaf: subleaf)
    setRegister(0, size: 4, UInt64(answer.eax))
    setRegister(3, size: 4, UInt64(answer.ebx))
    setRegister(1, size: 4, UInt64(answer.ecx))
    setRegister(2, size: 4, UInt64(answer.edx))
    return .next
  }

  /// The environment's answer, with the bits that follow control registers.
  package func identity(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    var answer = environment.identify(leaf: leaf, subleaf: subleaf)
    switch (leaf, subleaf) {
    case (1, _):
      // OSXSAVE
      answer.ecx &= ~(1 << 27)
      if cpu.cr4.contains(.xsave) { answer.ecx |= 1 << 27 }
    case (0xd, 0) where answer.eax != 0:
      answer.ebx = extendedSize(cpu.xcr0)
    case (0xd, 1) where answer.eax & 2 != 0:
      answer.ebx = extendedSize(cpu.xcr0 | cpu.extendedSupervisorState)
    default: break
    }
    return answer
  }

  /// Bytes of an XSAVE image that has some components: in both formats, as AVX is the only one
  /// past the header.
  private func extendedSize(_ components: UInt64) -> UInt32 {
    components & ExtendedState.vector != 0 ? UInt32(ExtendedState.size) : 576
  }

  func readTimeStamp() throws(GuestFault) -> Outcome {
    try checkTimeStamp()
    let value = timeStamp
    setRegister(0, size: 4, value)
    setRegister(2, size: 4, value &>> 32)
    return .next
  }

  func readTimeStampAndProcessor() throws(GuestFault) -> Outcome {
    _ = try readTimeStamp()
    setRegister(1, size: 4, cpu.timeStampAux)
    return .next
  }

  func readProcessorID(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    setRegister(
      modRMRegisterOperand(instruction), size: cpu.is64Bit ? 8 : 4, cpu.timeStampAux)
    return .next
  }

  private func checkTimeStamp() throws(GuestFault) {
    if cpu.isProtected && cpu.privilege > 0 && cpu.cr4.contains(.timeStampDisable) {
      throw .protection
    }
  }

  /// No counters are offered, so every number is wrong.
  func readPerformanceCounter() throws(GuestFault) -> Outcome { throw .protection }

  func readExtendedControl() throws(GuestFault) -> Outcome {
    guard cpu.cr4.contains(.xsave) else { throw .undefined }
    let value: UInt64
    switch UInt32(truncatingIfNeeded: cpu.registers[1]) {
    case 0: value = cpu.xcr0
    case 1:
      guard environment.identify(leaf: 0xd, subleaf: 1).eax & 4 != 0 else { throw .protection }
      value = cpu.xcr0 & componentsInUse
    default: throw .protection
    }
    setRegister(0, size: 4, value)
    setRegister(2, size: 4, value &>> 32)
    return .next
  }

  func writeExtendedControl() throws(GuestFault) -> Outcome {
    guard cpu.cr4.contains(.xsave) else { throw .undefined }
    try requireSupervisor()
    let value = register(0, size: 4) | register(2, size: 4) &<< 32
    guard UInt32(truncatingIfNeeded: cpu.registers[1]) == 0, setExtendedControl(value) else {
      throw .protection
    }
    return .nextInNewMode
  }

  /// Sets XCR0; false for components that do not go together or are not offered.
  package func setExtendedControl(_ value: UInt64) -> Bool {
    let leaf = environment.identify(leaf: 0xd, subleaf: 0)
    let offered = (UInt64(leaf.eax) | UInt64(leaf.edx) << 32) & ExtendedState.all
    guard value & ~offered == 0, value & ExtendedState.floating != 0,
      value & ExtendedState.vector == 0 || value & ExtendedState.streaming != 0
    else { return false }
    cpu.xcr0 = value
    return true
  }

  /// MONITOR and MWAIT, where CPUID offers them: waiting ends at once, which the manual allows.
  func monitor(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    try checkMonitor()
    let offset = cpu.registers[0] & mask(bytes: instruction.addressSize)
    let linear = try linearAddress(
      segment: instruction.segment, offset: offset, size: 1, for: .read)
    _ = try translate(linear, dataRead)
    guard register(1, size: 4) == 0 else { throw .protection }
    return .next
  }

  func monitorWait() throws(GuestFault) -> Outcome {
    try checkMonitor()
    guard register(1, size: 4) < 2 else { throw .protection }
    return .nextInNewMode
  }

  private func checkMonitor() throws(GuestFault) {
    guard cpu.privilege == 0, environment.offersMonitor else { throw .undefined }
  }

  func halt() throws(GuestFault) -> Outcome {
    try requireSupervisor()
    // The trap of a step follows, and ends the halt.
    if run.isStepping & RunState.guestStep != 0 { return .next }
    cpu.halted = 1
    return .stop(.halted)
  }

  /// VMMCALL, and VMCALL, which is the other makers' and stays only where the machine lets it.
  func hypercall(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    if instruction.modRMRegister == 0 {
      guard environment.mendsHypercalls else { throw .undefined }
      // As KVM does, where the guest may write its code.
      let place = linearInstructionPointer
      try? writeLinear(place, size: 3, value: 0xd9_010f, as: dataWrite)
    }
    let size: UInt8 = cpu.is64Bit ? 8 : 4
    let call = Hypercall(
      number: register(0, size: size),
      arguments: [
        register(3, size: size), register(1, size: size), register(2, size: size),
        register(6, size: size),
      ],
      privilege: cpu.privilege)
    guard let result = outside({ environment.hypercall(call) }) else { throw .undefined }
    setRegister(0, size: size, result)
    return .next
  }

  func invalidateCaches() throws(GuestFault) -> Outcome {
    try requireSupervisor()
    return .next
  }
}
