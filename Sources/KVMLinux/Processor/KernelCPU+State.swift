internal import CLinux
import Glibc
public import KVM
import KVMABI

extension KernelCPU {
  public func registers() throws(KVMError) -> Registers {
    Registers(try file.get(.KVM_GET_REGS, kvm_regs()))
  }

  public func setRegisters(_ registers: Registers) throws(KVMError) {
    try file.set(.KVM_SET_REGS, kvm_regs(registers))
  }

  public func specialRegisters() throws(KVMError) -> SpecialRegisters {
    SpecialRegisters(try file.get(.KVM_GET_SREGS, kvm_sregs()))
  }

  public func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError) {
    try file.set(.KVM_SET_SREGS, kvm_sregs(registers))
  }

  public func inject(interrupt vector: UInt8) throws(KVMError) {
    try file.set(.KVM_INTERRUPT, kvm_interrupt(irq: UInt32(vector)))
  }
}

extension KernelCPU: PagePointerCPU {
  public func specialRegistersWithPointers() throws(KVMError) -> SpecialRegistersWithPointers {
    SpecialRegistersWithPointers(try file.get(.KVM_GET_SREGS2, kvm_sregs2()))
  }

  public func setSpecialRegistersWithPointers(
    _ registers: SpecialRegistersWithPointers
  ) throws(KVMError) {
    try file.set(.KVM_SET_SREGS2, kvm_sregs2(registers))
  }
}

extension KernelCPU: FloatingPointCPU {
  public func floatingPoint() throws(KVMError) -> FloatingPointState {
    FloatingPointState(try file.get(.KVM_GET_FPU, kvm_fpu()))
  }

  public func setFloatingPoint(_ state: FloatingPointState) throws(KVMError) {
    try file.set(.KVM_SET_FPU, kvm_fpu(state))
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
    try file.get(.KVM_GET_XCRS, kvm_xcrs()).registers
  }

  public func setExtendedControlRegisters(
    _ registers: [ExtendedControlRegister]
  ) throws(KVMError) {
    try file.set(.KVM_SET_XCRS, kvm_xcrs(registers))
  }
}
