internal import X86

/// System-management mode: what an SMI does, and RSM.
///
/// The state-save area has AMD's layout, as KVM's does: one for processors with long mode, one for
/// those without. Reference: AMD64 Architecture Programmer's Manual vol. 2, chapter 10; SDM vol. 3C,
/// chapter 32.
extension Processor {
  /// Saves the state and goes to the handler.
  func enterManagement() {
    let area = hasLongMode ? SaveArea(long: cpu) : SaveArea(short: cpu)
    cpu.managementHeldNMI = cpu.nmiBlocked
    (cpu.nmiBlocked, cpu.halted, cpu.interruptShadow) = (1, 0, 0)
    // What was written before is in the other address space.
    settleWithOthers()
    cpu.inManagement = 1
    write(area)
    settleWithOthers()
    cpu.flags = .fixed
    cpu.instructionPointer = 0x8000
    loadManagementControls()
    cpu.interruptTable = DescriptorTable(base: 0, limit: 0)
    loadManagementSegments()
    debugChanged()
    stateWasReplaced()
  }

  /// Real mode, with nothing enabled.
  private func loadManagementControls() {
    cpu.cr0.subtract([.protection, .emulation, .taskSwitched, .paging])
    (cpu.cr4, cpu.efer) = ([], [])
    cpu.privilege = 0
    cpu.debugRegisters[7] = 0x400
  }

  /// Segments of 4 GiB, as loading registers in real mode leaves them.
  private func loadManagementSegments() {
    let base = cpu.managementBase
    let rights = SegmentAttributes(rawValue: 0x8093)
    for name in [SegmentName.es, .ss, .ds, .fs, .gs] {
      cpu[name] = SegmentRegister(base: 0, limit: .max, selector: 0, attributes: rights)
    }
    cpu[.cs] = SegmentRegister(
      base: base, limit: .max, selector: UInt16(truncatingIfNeeded: base >> 4), attributes: rights)
  }

  /// RSM: #UD outside system-management mode; a shutdown where the saved state cannot be.
  func resumeFromManagement() throws(GuestFault) -> Outcome {
    guard cpu.inManagement != 0 else { throw .undefined }
    guard let area = readSaveArea() else { return .stopHere(.unreachableCode) }
    settleWithOthers()
    if cpu.managementHeldNMI == 0 { cpu.nmiBlocked = 0 }
    let isLong = hasLongMode
    setManagement(inside: false)
    loadManagementControls()
    cpu[.cs].attributes = SegmentAttributes(rawValue: 0x809b)
    var isPossible = false
    do throws(GuestFault) {
      try load(isLong ? area.longControls : area.shortControls)
      isPossible = true
    } catch {}
    if isLong { area.restoreLong(&cpu) } else { area.restoreShort(&cpu) }
    cpu.privilege = cpu.isVirtual8086 ? 3 : cpu.isProtected ? cpu[.ss].attributes[.privilege] : 0
    debugChanged()
    flushAllTranslations()
    guard isPossible else { return .stopHere(.shutdown) }
    return .jumped
  }

  /// Loads control registers from nothing, in the order that their conditions ask for.
  private func load(_ saved: SavedControls) throws(GuestFault) {
    var efer = EFER(rawValue: saved.efer)
    efer.remove(.longModeActive)
    guard setModelSpecific(ModelSpecificRegister.extendedFeatures.rawValue, efer.rawValue),
      (saved.dr6 | saved.dr7) >> 32 == 0
    else { throw .protection }
    try writeCR3(saved.cr3)
    try writeCR4(saved.cr4 & ~CR4.processContextIDs.rawValue)
    try writeCR0(saved.cr0)
    // Process contexts are enabled in long mode, and from context 0; and only there CR3 is wide.
    if cpu.isLongMode { try writeCR3(saved.cr3 & ~0xfff) }
    try writeCR4(saved.cr4)
    if cpu.isLongMode { try writeCR3(saved.cr3) }
  }

  /// Changes the address space, as when state is replaced from outside.
  ///
  /// - Parameter heldNMI: Whether non-maskable interrupts were blocked before an SMI.
  package func setManagement(inside: Bool, heldNMI: Bool = false) {
    let isChange = inside != (cpu.inManagement != 0)
    cpu.inManagement = inside ? 1 : 0
    cpu.managementHeldNMI = inside && heldNMI ? 1 : 0
    guard isChange else { return }
    stateWasReplaced()
    // More may wait: SMIs, INIT.
    doorbell.ring()
  }

  private var hasLongMode: Bool {
    environment.identify(leaf: 0x8000_0001, subleaf: 0).edx >> 29 & 1 != 0
  }

  // MARK: The save area in memory

  /// Writes what there is memory for.
  private func write(_ area: SaveArea) {
    for part in saveAreaParts {
      guard let host = unsafe writableHostPointer(part.address) else { continue }
      for index in 0..<part.count {
        unsafe (host + index).storeBytes(of: area[byte: part.offset + index], as: UInt8.self)
      }
      noteCodeWrite(physical: part.address | addressSpace, count: part.count)
    }
  }

  private func readSaveArea() -> SaveArea? {
    var area = SaveArea()
    for part in saveAreaParts {
      guard let host = unsafe hostPointer(part.address) else { return nil }
      for index in 0..<part.count {
        area[byte: part.offset + index] = unsafe (host + index).load(as: UInt8.self)
      }
    }
    return area
  }

  /// Where the area is: in one page, or in two.
  private var saveAreaParts: [(address: UInt64, offset: Int, count: Int)] {
    let start = AddressSpace.guestAddress(cpu.managementBase &+ 0x8000 &+ SaveArea.start)
    let first = min(SaveArea.size, 4096 - Int(start & 0xfff))
    let parts = [(start, 0, first), (start &+ UInt64(first), first, SaveArea.size - first)]
    return parts.filter { $0.2 > 0 }
  }
}
