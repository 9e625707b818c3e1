import CLinux
import KVM
import KVMABI
import KVMSoft

extension ProcessorFile {
  func setRegisters(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = Registers(try argument.load(kvm_regs.self))
    return try done(cpu.setRegisters(values))
  }

  func setSpecialRegisters(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = SpecialRegisters(try argument.load(kvm_sregs.self))
    return try done(cpu.setSpecialRegisters(values))
  }

  func setSpecialRegisters2(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = SpecialRegistersWithPointers(try argument.load(kvm_sregs2.self))
    return try done(cpu.setSpecialRegistersWithPointers(values))
  }

  func setFloatingPoint(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = FloatingPointState(try argument.load(kvm_fpu.self))
    return try done(cpu.setFloatingPoint(values))
  }

  func readExtendedState(_ argument: UserAddress) throws(KVMError) -> Int {
    try argument.store(array: try cpu.extendedState().bytes)
    return 0
  }

  func setExtendedState(_ argument: UserAddress) throws(KVMError) -> Int {
    let state = ExtendedState(
      bytes: try argument.array(of: UInt8.self, count: MemoryLayout<kvm_xsave>.size))
    return try done(cpu.setExtendedState(state))
  }

  func setExtendedControlRegisters(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_xcrs.self)
    guard values.nr_xcrs <= 16, values.flags == 0 else { throw .invalid }
    return try done(cpu.setExtendedControlRegisters(values.registers))
  }

  func setDebugRegisters(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_debugregs.self)
    guard values.flags == 0 else { throw .invalid }
    return try done(cpu.setDebugRegisters(DebugRegisters(values)))
  }
}

// MARK: Registers in the shared area (KVM_CAP_SYNC_REGS)

extension ProcessorFile {
  /// KVM_SYNC_X86_*
  private static let (general, special, events) = (UInt64(1), UInt64(2), UInt64(4))
  static let synchronized = general | special | events

  /// Takes the registers that the program changed in place.
  func loadRegisters() throws(KVMError) {
    let (valid, dirty) = (area.content.kvm_valid_regs, area.content.kvm_dirty_regs)
    guard valid | dirty != 0 else { return }
    guard (valid | dirty) & ~Self.synchronized == 0 else { throw .invalid }
    takeAnswer()
    let values = unsafe area.content.s.regs
    if dirty & Self.general != 0 { try cpu.setRegisters(Registers(values.regs)) }
    if dirty & Self.special != 0 {
      try cpu.setSpecialRegisters(SpecialRegisters(values.sregs))
    }
    if dirty & Self.events != 0 {
      try cpu.setEvents(ProcessorEvents(values.events))
    }
    area.content.kvm_dirty_regs = 0
  }

  /// Shows the registers that the program asked for.
  func storeRegisters() throws(KVMError) {
    let valid = area.content.kvm_valid_regs
    guard valid != 0 else { return }
    var values = unsafe area.content.s.regs
    if valid & Self.general != 0 { values.regs = kvm_regs(try cpu.registers()) }
    if valid & Self.special != 0 {
      values.sregs = kvm_sregs(try cpu.specialRegisters())
    }
    if valid & Self.events != 0 {
      values.events = kvm_vcpu_events(try cpu.events())
    }
    unsafe area.content.s.regs = values
  }
}
