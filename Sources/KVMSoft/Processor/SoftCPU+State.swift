import Engine
import Glibc
public import KVM
import X86

extension SoftCPU {
  public func registers() throws(KVMError) -> Registers {
    let cpu = processor.cpu
    var values = Registers()
    (values.rax, values.rcx) = (cpu.registers[0], cpu.registers[1])
    (values.rdx, values.rbx) = (cpu.registers[2], cpu.registers[3])
    (values.rsp, values.rbp) = (cpu.registers[4], cpu.registers[5])
    (values.rsi, values.rdi) = (cpu.registers[6], cpu.registers[7])
    (values.r8, values.r9) = (cpu.registers[8], cpu.registers[9])
    (values.r10, values.r11) = (cpu.registers[10], cpu.registers[11])
    (values.r12, values.r13) = (cpu.registers[12], cpu.registers[13])
    (values.r14, values.r15) = (cpu.registers[14], cpu.registers[15])
    values.rip = cpu.instructionPointer &+ skippedBytes
    values.rflags = cpu.flags
    return values
  }

  /// While a write to port 0x7e waits, KVM shows the state behind the instruction, unless that
  /// quirk is disabled (KVM_X86_QUIRK_OUT_7E_INC_RIP).
  private var skippedBytes: UInt64 {
    guard case .portWrite(0x7e, _, _, 1)? = relay?.waitingAccess,
      machine.settings.has(.skipsPort7E)
    else { return 0 }
    return processor.currentInstructionLength
  }

  public func setRegisters(_ values: Registers) throws(KVMError) {
    // As KVM does: an instruction that waits for a device completes with the new registers, unless
    // they are those of another place.
    if values.rip != processor.cpu.instructionPointer { finishInstruction() }
    processor.pendingException = nil
    processor.cpu.registers = [
      values.rax, values.rcx, values.rdx, values.rbx, values.rsp, values.rbp, values.rsi,
      values.rdi, values.r8, values.r9, values.r10, values.r11, values.r12, values.r13,
      values.r14, values.r15,
    ]
    processor.cpu.instructionPointer = values.rip
    processor.cpu.flags = values.rflags.union(.fixed)
  }

  public func specialRegisters() throws(KVMError) -> SpecialRegisters {
    let cpu = processor.cpu
    var values = SpecialRegisters()
    (values.cs, values.ds, values.es) = (cpu[.cs], cpu[.ds], cpu[.es])
    (values.fs, values.gs, values.ss) = (cpu[.fs], cpu[.gs], cpu[.ss])
    (values.tr, values.ldt) = (cpu[.task], cpu[.localTable])
    (values.gdt, values.idt) = (cpu.globalTable, cpu.interruptTable)
    (values.cr0, values.cr2, values.cr3) = (cpu.cr0, cpu.cr2, cpu.cr3)
    (values.cr4, values.efer) = (cpu.cr4, cpu.efer)
    values.cr8 = UInt64(environment.taskPriority)
    values.apicBase = environment.apicBase
    values.pendingInterrupt = environment.queuedInterrupt
    return values
  }

  public func setSpecialRegisters(_ values: SpecialRegisters) throws(KVMError) {
    try check(values)
    finishInstruction()
    processor.cpu[.cs] = values.cs
    processor.cpu[.ds] = values.ds
    processor.cpu[.es] = values.es
    processor.cpu[.fs] = values.fs
    processor.cpu[.gs] = values.gs
    processor.cpu[.ss] = values.ss
    processor.cpu[.task] = values.tr
    processor.cpu[.localTable] = values.ldt
    processor.cpu.globalTable = values.gdt
    processor.cpu.interruptTable = values.idt
    (processor.cpu.cr0, processor.cpu.cr4) = (values.cr0, values.cr4)
    (processor.cpu.cr2, processor.cpu.cr3) = (values.cr2, values.cr3)
    processor.cpu.efer = values.efer
    processor.cpu.privilege =
      values.cr0.contains(.protection) ? values.ss.attributes[.privilege] : 0
    if values.cr8 < 16 { environment.setTaskPriorityQuietly(UInt8(values.cr8)) }
    environment.apicBase = values.apicBase
    if let vector = values.pendingInterrupt { environment.queuedInterrupt = vector }
    processor.stateWasReplaced()
    processor.doorbell.ring()
  }

  /// The state after power-on or INIT.
  func resetRegisters() {
    let (offset, base) = (processor.cpu.timeStampOffset, processor.cpu.managementBase)
    processor.cpu = CPUState()
    (processor.cpu.timeStampOffset, processor.cpu.managementBase) = (offset, base)
    let reset = SpecialRegisters()
    for name in [SegmentName.es, .ss, .ds, .fs, .gs] { processor.cpu[name] = reset.ds }
    processor.cpu[.cs] = reset.cs
    processor.cpu[.task] = reset.tr
    processor.cpu[.localTable] = reset.ldt
    processor.cpu.cr0 = reset.cr0
    processor.cpu.instructionPointer = 0xfff0
    processor.cpu.flags = .fixed
    // What RDX says of the processor, as CPUID does in EAX.
    processor.cpu.registers[2] = UInt64(environment.identify(leaf: 1, subleaf: 0).eax)
    processor.pendingException = nil
    processor.debugChanged()
    processor.stateWasReplaced()
  }

  public func modelSpecificRegisters(
    _ numbers: [UInt32]
  ) throws(KVMError) -> [ModelSpecificRegister] {
    let registers = try readModelSpecific(numbers)
    guard registers.count == numbers.count else {
      throw Self.unknownRegister(numbers[registers.count])
    }
    return registers
  }

  public func setModelSpecificRegisters(
    _ registers: [ModelSpecificRegister]
  ) throws(KVMError) {
    let done = try writeModelSpecific(registers)
    guard done == registers.count else { throw Self.unknownRegister(registers[done].number) }
  }

  private static func unknownRegister(_ number: UInt32) -> KVMError {
    let number = String(number, radix: 16)
    return .unsupported("The engine refused the model-specific register 0x\(number).")
  }

  public func setCPUID(_ entries: [CPUIDEntry]) throws(KVMError) {
    finishInstruction()
    // The guest has seen it already.
    guard !hasRun || Self.lasting(entries) == Self.lasting(environment.identity.entries) else {
      throw .refused(call: "KVM_SET_CPUID2", errno: EINVAL)
    }
    let addressBits = (entries.first { $0.leaf == 0x8000_0008 }?.eax ?? 0) >> 8 & 0xff
    guard [0, 48, 57].contains(addressBits) else {
      throw .refused(call: "KVM_SET_CPUID2", errno: EINVAL)
    }
    environment.identity = CPUIDTable(entries)
    let offersX2APIC = environment.identity[1, 0].ecx & 1 << 21 != 0
    environment.chips?.controller.setOffersX2APIC(offersX2APIC, processor: environment.index)
    processor.offer(GuestFeatures.decoded(from: entries))
  }
}
