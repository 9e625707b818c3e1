import CZydis
import Engine

/// Where our decoder and Zydis 4.0 may differ, and why. Everything else is a bug.
enum DecodeExceptions {
  /// Instruction set extensions that the engine does not offer: ours must say undefined.
  static let notOffered: Set<String> = [
    "AMD3DNOW", "AMD_INVLPGB", "AMX_BF16", "AMX_INT8", "AMX_TILE", "AVX512EVEX", "AVX512VEX",
    "AVX_VNNI", "CET", "CLZERO", "ENQCMD", "FMA4", "GFNI", "HRESET", "KEYLOCKER",
    "KEYLOCKER_WIDE", "KNC", "KNCE", "KNCV", "MCOMMIT", "MONITORX", "MOVDIR", "PADLOCK",
    "PCONFIG", "PKU", "PT", "RDPRU", "RTM", "SERIALIZE", "SGX", "SGX_ENCLV", "SMX", "SNP",
    "SSE4A", "SVM", "TBM", "TDX", "TSX_LDTRK", "UINTR", "VAES", "VMFUNC", "VPCLMULQDQ", "VTX",
    "WAITPKG", "XOP",
  ]

  /// Whether ours may be undefined where Zydis knows an instruction.
  static func mayBeUndefined(_ instruction: Instruction, _ zydis: Zydis) -> Bool {
    if notOffered.contains(zydis.extensionName) { return true }
    // Prefetches between registers: a NOP to Intel, #UD on AMD's processors.
    if instruction.map == .twoByte, instruction.opcode == 0x0d { return true }
    return false
  }

  /// Makes equal what differs for a reason.
  static func reconcile(
    _ ours: inout DecodeFacts, _ theirs: inout DecodeFacts, _ instruction: Instruction
  ) {
    reconcileMemory(&ours, &theirs, instruction)
    reconcileRegisters(&ours, &theirs, instruction)
    reconcileFlags(&ours, &theirs, instruction)
    reconcileSizes(&ours, theirs, instruction)
  }

  private static func reconcileSizes(
    _ ours: inout DecodeFacts, _ theirs: DecodeFacts, _ instruction: Instruction
  ) {
    // Byte forms say so in their operands; vector instructions have no operand size.
    let hasNone = OpcodeTables.rows[Int(instruction.row)].sizing == .ignores66
    if theirs.operandSize == 1 || hasNone { ours.operandSize = theirs.operandSize }
    switch instruction.operation {
    case .moveFromControl, .moveToControl, .moveFromDebug, .moveToDebug, .systemCall, .input,
      .output, .noOperation, .compareExchangeWide:
      // The operands, if any, have their own sizes.
      ours.operandSize = theirs.operandSize
    default: break
    }
  }

  private static func reconcileMemory(
    _ ours: inout DecodeFacts, _ theirs: inout DecodeFacts, _ instruction: Instruction
  ) {
    // With 67 and REX.B, Zydis takes R13 as the base where there is none (SDM vol. 2A, table 2-3).
    let isBaseless = instruction.modRM & 0xc7 == 4 && ours.memory?.base == Instruction.noRegister
    if isBaseless, instruction.prefixes.contains([.addressSize, .rex]) {
      theirs.memory?.base = Instruction.noRegister
      theirs.memory?.displacement = instruction.displacement
    }
    switch instruction.operation {
    case .jumpIndirect, .callIndirect:
      // Zydis takes 3E as NOTRACK; without CET it is a DS override.
      theirs.memory?.segment = instruction.segment
    case .loadAddress:
      // Zydis ignores overrides where nothing is accessed.
      ours.memory?.segment = 3
      theirs.memory?.segment = 3
      theirs.memory?.size = 0
    case .noOperation, .invalidatePage:
      // Zydis gives addresses that are not accessed a size, and hints a read.
      ours.memory?.size = 0
      theirs.memory?.size = 0
      theirs.memory?.access = []
    case .cacheLineFlush:
      // The checks are those of a byte load (SDM, CLFLUSH); Zydis counts the line.
      theirs.memory?.size = 1
    case .saveExtended, .restoreExtended:
      // Depends on XCR0 and more; Zydis counts the legacy area and the header.
      theirs.memory?.size = 0
    case .moveOffset:
      // Zydis sign-extends the absolute address.
      guard instruction.addressSize < 8 else { break }
      theirs.memory?.displacement &= 1 << (Int64(instruction.addressSize) * 8) - 1
    default: break
    }
  }

  private static func reconcileRegisters(
    _ ours: inout DecodeFacts, _ theirs: inout DecodeFacts, _ instruction: Instruction
  ) {
    switch (instruction.map, instruction.opcode) {
    case (.oneByte, 0x98), (.oneByte, 0xf6):
      // AL read and AX written: ours says AX, read and written.
      theirs.registers = merged(theirs.registers)
      ours.registers = merged(ours.registers)
    case (.twoByte, 0xbc), (.twoByte, 0xbd):
      // BSF and BSR leave the destination as it is where the source is 0.
      if instruction.mandatoryPrefix == 0 { allowKept(&theirs) }
    case (.twoByte, 0x02), (.twoByte, 0x03):
      // LAR and LSL read a selector, 16 bits of any register.
      forgetSizes(&ours)
      forgetSizes(&theirs)
    default: break
    }
    if instruction.operation == .noOperation {
      ours.registers = []
      theirs.registers = []
    }
  }

  private static func merged(_ registers: [DecodeFacts.Register]) -> [DecodeFacts.Register] {
    var result: [DecodeFacts.Register] = []
    for register in registers {
      if let last = result.last, last.kind == register.kind, last.number == register.number {
        result[result.count - 1].size = max(last.size, register.size)
        result[result.count - 1].access.formUnion(register.access)
      } else {
        result.append(register)
      }
    }
    return result
  }

  private static func allowKept(_ facts: inout DecodeFacts) {
    for index in facts.registers.indices where facts.registers[index].access == .write {
      facts.registers[index].access = .readWrite
    }
  }

  private static func forgetSizes(_ facts: inout DecodeFacts) {
    for index in facts.registers.indices { facts.registers[index].size = 0 }
    facts.registers.sort()
  }

  private static func reconcileFlags(
    _ ours: inout DecodeFacts, _ theirs: inout DecodeFacts, _ instruction: Instruction
  ) {
    let row = OpcodeTables.rows[Int(instruction.row)]
    // Zydis does not look at the count.
    if row.countedByImmediate, ours.written.isEmpty { theirs.written = [] }
    switch instruction.operation {
    case .compareString, .scanString:
      // Zydis means the flag that the repetition tests, which is the comparison's own.
      theirs.read = ours.read
    case .interrupt, .interrupt1, .interrupt3, .interruptOverflow:
      // They save the flags for the handler to see.
      theirs.read = ours.read
    case .hypercall:
      // VMX instructions report in the flags; a hypercall that is answered does not.
      theirs.written = []
    case .systemCall:
      // R11 takes the flags, and IA32_FMASK clears some.
      theirs.read = ours.read
      theirs.written = ours.written
    default: break
    }
    switch row.name.description {
    case "testps", "testpd", "ptest":
      // OF, SF, AF and PF are cleared (SDM, VTESTPD and PTEST); Zydis leaves them out for VEX.
      if instruction.isVEX { theirs.written = ours.written }
    default: break
    }
  }
}
