internal import CLinux
import Glibc
public import KVM
import KVMABI

extension KernelCPU {
  public func registers() throws(KVMError) -> Registers {
    var values = kvm_regs()
    try file.call(.KVM_GET_REGS, with: &values)
    return Registers(values)
  }

  public func setRegisters(_ registers: Registers) throws(KVMError) {
    var values = kvm_regs(registers)
    try file.call(.KVM_SET_REGS, with: &values)
  }

  public func specialRegisters() throws(KVMError) -> SpecialRegisters {
    var values = kvm_sregs()
    try file.call(.KVM_GET_SREGS, with: &values)
    return SpecialRegisters(values)
  }

  public func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError) {
    var values = kvm_sregs(registers)
    try file.call(.KVM_SET_SREGS, with: &values)
  }

  public func inject(interrupt vector: UInt8) throws(KVMError) {
    var interrupt = kvm_interrupt(irq: UInt32(vector))
    try file.call(.KVM_INTERRUPT, with: &interrupt)
  }
}

extension KernelCPU: PagePointerCPU {
  public func specialRegistersWithPointers() throws(KVMError) -> SpecialRegistersWithPointers {
    var values = kvm_sregs2()
    try file.call(.KVM_GET_SREGS2, with: &values)
    return SpecialRegistersWithPointers(values)
  }

  public func setSpecialRegistersWithPointers(
    _ registers: SpecialRegistersWithPointers
  ) throws(KVMError) {
    var values = kvm_sregs2(registers)
    try file.call(.KVM_SET_SREGS2, with: &values)
  }
}

extension KernelCPU: FloatingPointCPU {
  public func floatingPoint() throws(KVMError) -> FloatingPointState {
    var values = kvm_fpu()
    try file.call(.KVM_GET_FPU, with: &values)
    return FloatingPointState(values)
  }

  public func setFloatingPoint(_ state: FloatingPointState) throws(KVMError) {
    var values = kvm_fpu(state)
    try file.call(.KVM_SET_FPU, with: &values)
  }

  public func extendedState() throws(KVMError) -> ExtendedState {
    let size = machine.check(.xsave2)
    var bytes = [UInt8](repeating: 0, count: max(size, MemoryLayout<kvm_xsave>.size))
    try file.call(size > 0 ? .KVM_GET_XSAVE2 : .KVM_GET_XSAVE, bytes: &bytes)
    return ExtendedState(bytes: bytes)
  }

  public func setExtendedState(_ state: ExtendedState) throws(KVMError) {
    var bytes = state.bytes
    // The kernel reads as much as it would write.
    guard bytes.count >= max(machine.check(.xsave2), MemoryLayout<kvm_xsave>.size) else {
      throw .refused(call: KVMRequest.KVM_SET_XSAVE.name, errno: EINVAL)
    }
    try file.call(.KVM_SET_XSAVE, bytes: &bytes)
  }

  public func extendedControlRegisters() throws(KVMError) -> [ExtendedControlRegister] {
    var values = kvm_xcrs()
    try file.call(.KVM_GET_XCRS, with: &values)
    return values.registers
  }

  public func setExtendedControlRegisters(
    _ registers: [ExtendedControlRegister]
  ) throws(KVMError) {
    var values = kvm_xcrs(registers)
    try file.call(.KVM_SET_XCRS, with: &values)
  }
}
