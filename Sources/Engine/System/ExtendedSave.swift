internal import X86

/// XSAVE, XSAVEC, XSAVEOPT, XSAVES and FXSAVE. Reference: SDM vol. 1, sections 13.7 to 13.11.
extension Processor {
  func saveExtended(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    // 0F AE holds XSAVE (/4) and XSAVEOPT (/6), 0F C7 XSAVEC (/4) and XSAVES (/5).
    let isCompact = instruction.opcode == 0xc7
    let form = instruction.modRMRegister
    let isSupervisor = isCompact && form == 5
    let linear = try extendedOperand(instruction, isSupervisor: isSupervisor, for: .write)
    let wanted = requestedComponents(isSupervisor)
    let window = try window(linear, imageSize(wanted), as: dataWrite)
    fillInitialState()
    if isCompact {
      saveCompact(wanted, to: window)
    } else {
      let isOptimized = form == 6
      saveStandard(wanted, written: isOptimized ? wanted & componentsPresent : wanted, to: window)
    }
    return .next
  }

  /// The operand's address, after the checks common to all of the family.
  func extendedOperand(
    _ instruction: borrowing Instruction, isSupervisor: Bool, for access: Access
  ) throws(GuestFault) -> UInt64 {
    guard cpu.cr4.contains(.xsave), instruction.hasMemory else { throw .undefined }
    if cpu.cr0.contains(.taskSwitched) { throw GuestFault(.deviceNotAvailable) }
    if isSupervisor { try requireSupervisor() }
    let size = imageSize(requestedComponents(isSupervisor))
    let linear = try linearAddress(of: instruction, size: size, for: access)
    guard linear & 63 == 0 else { throw .protection }
    return linear
  }

  /// The components in EDX:EAX that are enabled.
  func requestedComponents(_ isSupervisor: Bool) -> UInt64 {
    let asked = register(0, size: 4) | register(2, size: 4) &<< 32
    return asked & (cpu.xcr0 | (isSupervisor ? cpu.extendedSupervisorState : 0))
  }

  /// Bytes of an image with some components, header included.
  func imageSize(_ components: UInt64) -> Int {
    components & ExtendedState.vector != 0 ? ExtendedState.size : ExtendedState.vectorRegisters
  }

  private func saveStandard(_ wanted: UInt64, written: UInt64, to window: LinearWindow) {
    saveComponents(written, to: window)
    if wanted & (ExtendedState.streaming | ExtendedState.vector) != 0 {
      saveImage(24..<32, to: window, at: 24)
    }
    let before = word(UInt64.self, of: window, at: ExtendedState.header)
    put((before & ~wanted) | (componentsPresent & wanted), to: window, at: ExtendedState.header)
  }

  private func saveCompact(_ wanted: UInt64, to window: LinearWindow) {
    let written = wanted & componentsInUse
    saveComponents(written, to: window)
    if written & ExtendedState.streaming != 0 { saveImage(24..<32, to: window, at: 24) }
    put(written, to: window, at: ExtendedState.header)
    put(wanted | 1 << 63, to: window, at: ExtendedState.header + 8)
  }

  private func saveComponents(_ components: UInt64, to window: LinearWindow) {
    if components & ExtendedState.floating != 0 { saveFloating(to: window) }
    if components & ExtendedState.streaming != 0 { saveStreaming(to: window) }
    if components & ExtendedState.vector != 0 {
      let start = ExtendedState.vectorRegisters
      saveImage(start..<start + 16 * vectorCount, to: window, at: start)
    }
  }

  private func put(_ value: UInt64, to window: LinearWindow, at offset: Int) {
    unsafe withUnsafeBytes(of: value) { unsafe copy(from: $0, to: window, at: offset) }
  }

  /// FXSAVE: x87 and SSE without a header.
  func saveLegacy(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let window = try legacyOperand(instruction, for: .write)
    fillInitialState()
    saveFloating(to: window)
    saveImage(24..<32, to: window, at: 24)
    saveStreaming(to: window)
    return .next
  }

  /// The 512 bytes of FXSAVE and FXRSTOR.
  func legacyOperand(
    _ instruction: borrowing Instruction, for access: Access
  ) throws(GuestFault) -> LinearWindow {
    guard cpu.cr0.isDisjoint(with: [.taskSwitched, .emulation]) else {
      throw GuestFault(.deviceNotAvailable)
    }
    let linear = try linearAddress(of: instruction, size: ExtendedState.legacySize, for: access)
    guard linear & 15 == 0 else { throw .protection }
    return try window(
      linear, ExtendedState.legacySize, as: access == .read ? dataRead : dataWrite)
  }
}
