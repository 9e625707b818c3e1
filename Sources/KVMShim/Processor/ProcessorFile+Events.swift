import CLinux
import KVM
import KVMABI
import KVMSoft

extension ProcessorFile {
  func inject(_ argument: UserAddress) throws(KVMError) -> Int {
    let number = try argument.load(kvm_interrupt.self).irq
    guard let vector = UInt8(exactly: number) else { throw .invalid }
    return try done(cpu.inject(interrupt: vector))
  }

  func setActivity(_ argument: UserAddress) throws(KVMError) -> Int {
    let number = try argument.load(kvm_mp_state.self).mp_state
    guard let activity = ProcessorActivity(rawValue: number) else { throw .invalid }
    return try done(cpu.setActivity(activity))
  }

  func setEvents(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_vcpu_events.self)
    let known: UInt32 = 0x3f
    guard values.flags & ~known == 0 else { throw .invalid }
    return try done(cpu.setEvents(ProcessorEvents(values)))
  }

  /// The set of signals is as large as the kernel's: 8 bytes.
  func setSignalMask(_ argument: UserAddress) throws(KVMError) -> Int {
    guard argument.value != 0 else {
      state.signalMask = nil
      return 0
    }
    guard try argument.load(UInt32.self) == 8 else { throw .invalid }
    state.signalMask = try argument.advanced(by: 4).load(UInt64.self)
    return 0
  }

  func setLocalAPIC(_ argument: UserAddress) throws(KVMError) -> Int {
    let state = LocalAPICState(try argument.load(kvm_lapic_state.self))
    return try done(cpu.setLocalAPIC(state))
  }

  func reportTaskPriority(_ argument: UserAddress) throws(KVMError) -> Int {
    let values = try argument.load(kvm_tpr_access_ctl.self)
    guard values.flags == 0 else { throw .invalid }
    try cpu.reportTaskPriorityAccess(values.enabled != 0)
    return try argument.put(values)
  }

  func setVirtualAPICAddress(_ argument: UserAddress) throws(KVMError) -> Int {
    let address = try argument.load(kvm_vapic_addr.self).vapic_addr
    return try done(cpu.setVirtualAPICAddress(address))
  }

  func setMachineCheckCapabilities(_ argument: UserAddress) throws(KVMError) -> Int {
    let capabilities = try argument.load(UInt64.self)
    return try done(cpu.setMachineCheckCapabilities(capabilities))
  }

  func reportMachineCheck(_ argument: UserAddress) throws(KVMError) -> Int {
    let check = MachineCheck(try argument.load(kvm_x86_mce.self))
    return try done(cpu.report(check))
  }
}
