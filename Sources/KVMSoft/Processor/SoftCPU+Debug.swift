import Engine
import Glibc
public import KVM

/// Debugging, by the guest and from outside. Reference: KVM API, section 4.87.
extension SoftCPU: DebuggedCPU {
  public func debugRegisters() throws(KVMError) -> DebugRegisters {
    var values = DebugRegisters()
    for index in 0..<4 { values.addresses[index] = processor.cpu.debugRegisters[index] }
    (values.dr6, values.dr7) = (processor.cpu.debugRegisters[6], processor.cpu.debugRegisters[7])
    return values
  }

  public func setDebugRegisters(_ registers: DebugRegisters) throws(KVMError) {
    guard registers.dr6 >> 32 == 0, registers.dr7 >> 32 == 0 else {
      throw .refused(call: "KVM_SET_DEBUGREGS", errno: EINVAL)
    }
    finishInstruction()
    for index in 0..<4 { processor.cpu.debugRegisters[index] = registers.addresses[index] }
    processor.cpu.debugRegisters[6] = registers.dr6
    processor.cpu.debugRegisters[7] = registers.dr7
    processor.debugChanged()
  }

  public func setGuestDebug(_ debug: GuestDebug) throws(KVMError) {
    finishInstruction()
    if !debug.control.isDisjoint(with: [.injectDebug, .injectBreakpoint]) {
      guard processor.pendingException == nil else {
        throw .refused(call: "KVM_SET_GUEST_DEBUG", errno: EBUSY)
      }
      let vector: UInt8 = debug.control.contains(.injectDebug) ? 1 : 3
      processor.pendingException = PendingException(
        vector: vector, errorCode: nil, isInjected: true)
    }
    var plan = DebugPlan()
    if debug.control.contains(.enable) {
      plan.isStepping = debug.control.contains(.singleStep)
      plan.catchesBreakpoints = debug.control.contains(.softwareBreakpoints)
      plan.usesHardware = debug.control.contains(.hardwareBreakpoints)
      plan.blocksInterrupts = debug.control.contains(.blockInterrupts)
      for index in 0..<8 { plan.registers[index] = debug.debugRegisters[index] }
    }
    processor.debugPlan = plan
  }

  public func translate(_ linearAddress: UInt64) throws(KVMError) -> Translation {
    let found = try? processor.translate(linearAddress, .supervisorRead)
    return Translation(
      linearAddress: linearAddress,
      physicalAddress: found.map {
        AddressSpace.guestAddress($0.page) | linearAddress & 0xfff
      })
  }

  /// What a ``DebugPlan`` waited for, as an exit.
  var debugStop: Stop {
    let (report, address, dr7) = processor.debugExit()
    return .debug(
      DebugExit(exception: UInt32(report.vector), address: address, dr6: report.dr6, dr7: dr7))
  }
}
