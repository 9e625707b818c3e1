internal import X86

/// The 64 bytes after the legacy area. Reference: SDM vol. 1, section 13.4.2.
private struct ExtendedHeader: BitwiseCopyable {
  /// The components whose values are in the image; the others are in their initial state.
  var present: UInt64 = 0
  /// Bit 63: compacted, and then the components that have a place.
  var format: UInt64 = 0
  var reserved: InlineArray<6, UInt64> = .init(repeating: 0)
  var isCompact: Bool { format >> 63 != 0 }

  /// Whether XRSTOR takes it, given the enabled components.
  func isValid(_ enabled: UInt64) -> Bool {
    if !isCompact {
      return present & ~enabled == 0 && format == 0 && reserved[0] == 0
    }
    let placed = format & ~(1 << 63)
    guard placed & ~enabled == 0, present & ~placed == 0 else { return false }
    for index in 0..<6 where reserved[index] != 0 { return false }
    return true
  }
}

/// XRSTOR, XRSTORS and FXRSTOR. Reference: SDM vol. 1, sections 13.8 and 13.12.
extension Processor {
  func restoreExtended(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let isSupervisor = instruction.opcode == 0xc7
    let linear = try extendedOperand(instruction, isSupervisor: isSupervisor, for: .read)
    let wanted = requestedComponents(isSupervisor)
    let window = try window(linear, ExtendedState.vectorRegisters, as: dataRead)
    var header = ExtendedHeader()
    unsafe withUnsafeMutableBytes(of: &header) {
      unsafe copy(from: window, at: ExtendedState.header, to: $0)
    }
    let enabled = cpu.xcr0 | (isSupervisor ? cpu.extendedSupervisorState : 0)
    guard header.isValid(enabled), header.isCompact || !isSupervisor else { throw .protection }
    let loaded = wanted & header.present
    let status = try restoredControlStatus(wanted, header, window)
    var vectors: LinearWindow?
    if loaded & ExtendedState.vector != 0 {
      let place = (linear &+ UInt64(ExtendedState.vectorRegisters)) & linearMask
      vectors = try self.window(place, 16 * vectorCount, as: dataRead)
    }
    fillInitialState()
    controlStatus = status
    initializeComponents(wanted & ~loaded)
    if loaded & ExtendedState.floating != 0 { loadFloating(from: window) }
    if loaded & ExtendedState.streaming != 0 { loadStreaming(from: window) }
    if let vectors {
      let start = ExtendedState.vectorRegisters
      loadImage(start..<start + 16 * vectorCount, from: vectors, at: 0)
      componentsPresent |= ExtendedState.vector
    }
    return .next
  }

  /// MXCSR after the restore: it belongs to SSE in the compacted format, and is loaded with SSE or
  /// AVX in the standard one, whatever the header says.
  private func restoredControlStatus(
    _ wanted: UInt64, _ header: ExtendedHeader, _ window: LinearWindow
  ) throws(GuestFault) -> UInt32 {
    if header.isCompact {
      guard wanted & ExtendedState.streaming != 0 else { return controlStatus }
      guard header.present & ExtendedState.streaming != 0 else {
        return ExtendedState.initialControlStatus
      }
      return try checkedControlStatus(window)
    }
    let loads = wanted & (ExtendedState.streaming | ExtendedState.vector) != 0
    return loads ? try checkedControlStatus(window) : controlStatus
  }

  /// FXRSTOR.
  func restoreLegacy(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let window = try legacyOperand(instruction, for: .read)
    let status = try checkedControlStatus(window)
    fillInitialState()
    controlStatus = status
    loadFloating(from: window)
    loadStreaming(from: window)
    return .next
  }
}
