import Boot
import KVM

/// What a machine's processors are told before their first instruction.
struct ProcessorStart: Sendable {
  let initial: InitialProcessorState
  let features: [CPUIDEntry]
  /// How many processors the machine has.
  let count: Int
  /// What firmware would have set in the model-specific registers of each.
  let modelSpecific: [ModelSpecificRegister]

  /// RAM is write-back, as firmware leaves it: IA32_MTRR_DEF_TYPE, enabled, without ranges.
  ///
  /// Reference: SDM vol. 3A, section 12.11.2.1.
  static let writeBackMemory = ModelSpecificRegister(0x2ff, 0x806)

  /// Makes `cpu` ready. All but the first wait to be started by the guest.
  func prepare(_ cpu: some VirtualCPU, id: UInt32) throws(KVMError) {
    try cpu.setCPUID(features.describing(cpu: id, of: UInt32(count)))
    try cpu.setModelSpecificRegisters(modelSpecific)
    guard id == 0 else { return }
    try cpu.setSpecialRegisters(special(from: try cpu.specialRegisters()))
    var registers = Registers()
    (registers.rax, registers.rbx) = (initial.rax, initial.rbx)
    registers.rip = initial.rip
    registers.rsp = initial.rsp
    registers.rsi = initial.rsi
    registers.rflags = initial.rflags
    try cpu.setRegisters(registers)
  }

  /// The initial state over `reset`, which keeps what a boot protocol does not speak of.
  private func special(from reset: SpecialRegisters) -> SpecialRegisters {
    var registers = reset
    registers.setData(initial.data)
    registers.cs = initial.cs
    registers.tr = initial.task
    registers.ldt = initial.localTable
    registers.gdt = initial.globalDescriptorTable
    registers.idt = initial.interruptDescriptorTable
    registers.cr0 = initial.cr0
    registers.cr3 = initial.cr3
    registers.cr4 = initial.cr4
    registers.efer = initial.efer
    return registers
  }
}
