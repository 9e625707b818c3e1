/// A model-specific register that neither the engine nor the interrupt controller has a part in.
struct ModelSpecificRow {
  let number: UInt32
  let reset: UInt64
  /// The bits that software can change.
  let writable: UInt64
  /// Whether a write of bits that cannot change is an error (#GP), or just has no effect.
  let isStrict: Bool
  /// Whether a write does something, and leaves nothing to be read.
  var isCommand = false
  /// Bits that stay set, also when a client clears them.
  var lasting: UInt64 = 0
}

extension ModelSpecificRow {
  /// What Linux reads or writes on such a processor, and firmware before it.
  ///
  /// Reference: SDM vol. 4; APM vol. 2, appendix A; AMD's BIOS and kernel developer's guides.
  static let all: [ModelSpecificRow] = common + memoryTypes + amd + intel + counters

  private static let common: [ModelSpecificRow] = [
    stored(0x3a),  // IA32_FEATURE_CONTROL
    stored(0x48, mask: 0x407),  // IA32_SPEC_CTRL: IBRS, STIBP, SSBD, BHI_DIS_S
    command(0x49),  // IA32_PRED_CMD
    command(0x79),  // IA32_BIOS_UPDT_TRIG
    fixed(0x8b, 0x0a00_11d1),  // the microcode's revision
    stored(0xce),  // MSR_PLATFORM_INFO: not the guest's to write
    // Clients that are older than a bit clear it, though not because they want the weakness.
    ModelSpecificRow(
      number: 0x10a, reset: architectureCapabilities, writable: 0, isStrict: false,
      lasting: architectureCapabilities),
    command(0x10b),  // IA32_FLUSH_CMD
    fixed(0x140, 0),  // MSR_MISC_FEATURES_ENABLES
    // Fast strings; no branch trace store, no precise event sampling.
    stored(0x1a0, 0x1801),
    stored(0x1d9, mask: 0x3),  // IA32_DEBUGCTL
  ]

  /// IA32_ARCH_CAPABILITIES: RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO,
  /// PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO,
  /// ITS_NO. The reason is in docs/decisions.md.
  private static let architectureCapabilities: UInt64 =
    1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15
    | 1 << 20 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 62

  /// All memory is write-back; the page attribute table says the rest.
  private static let memoryTypes: [ModelSpecificRow] =
    [
      // Eight variable ranges, fixed ranges, write-combining.
      fixed(0xfe, 0x508),
      stored(0x2ff, 0xc06, mask: 0xcff),
    ]
    + (0x200...0x20f).map { stored(UInt32($0)) }
    + [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f].map {
      stored($0, 0x0606_0606_0606_0606)
    }

  private static let amd: [ModelSpecificRow] = [
    stored(0xc001_0010),  // SYSCFG
    // HWCR: the time-stamp counter runs at a constant rate.
    stored(0xc001_0015, 1 << 24, mask: 1 << 24 | 0x1f_ffff),
    fixed(0xc001_001a, 0),  // TOP_MEM
    fixed(0xc001_001d, 0),  // TOP_MEM2
    stored(0xc001_001f),  // NB_CFG
    fixed(0xc001_0055, 0),  // interrupt pending message
    fixed(0xc001_0058, 0),  // MMIO configuration base
    fixed(0xc001_0112, 0), fixed(0xc001_0113, 0),  // SMM's memory
    stored(0xc001_0117),  // VM_HSAVE_PA
    fixed(0xc001_0114, 0),  // VM_CR: no SVM
    fixed(0xc001_0131, 0),  // SEV status
    fixed(0xc001_0140, 0),  // OSVW: no errata to work around
    fixed(0xc001_0141, 0),
    stored(0xc001_1020),  // LS_CFG
    stored(0xc001_1021),  // IC_CFG
    stored(0xc001_1022),  // DC_CFG
    fixed(0xc001_1023, 0),  // TW_CFG
    // DE_CFG: LFENCE waits for what came before it.
    stored(0xc001_1029, 1 << 1),
    stored(0xc001_102a),  // BU_CFG2
  ]

  /// What KVM answers whatever the maker, since guests ask without looking.
  private static let intel: [ModelSpecificRow] = [
    fixed(0x17, 0),  // IA32_PLATFORM_ID
    fixed(0x2a, 0),  // MSR_EBL_CR_POWERON
    fixed(0x2c, 1 << 24),  // MSR_EBC_FREQUENCY_ID
    fixed(0xcd, 3),  // MSR_FSB_FREQ
    fixed(0x11e, 0xbe70_2111),  // MSR_BBL_CR_CTL3
    fixed(0x198, 1000 | 4 << 40),  // IA32_PERF_STATUS
    fixed(0x199, 0),  // IA32_PERF_CTL
    fixed(0x1db, 0), fixed(0x1dc, 0), fixed(0x1dd, 0), fixed(0x1de, 0),  // last branch, interrupt
    stored(0x1fc),  // MSR_POWER_CTL
    fixed(0x345, 0),  // IA32_PERF_CAPABILITIES
    fixed(0x606, 0), fixed(0x611, 0), fixed(0x619, 0), fixed(0x639, 0), fixed(0x641, 0),  // energy
  ]

  /// Performance counters, which count nothing.
  private static let counters: [ModelSpecificRow] =
    ([0xc1, 0xc2, 0x186, 0x187] + Array(0xc001_0000...0xc001_0007)).map { fixed($0, 0) }

  private static func stored(
    _ number: UInt32, _ reset: UInt64 = 0, mask: UInt64 = .max
  ) -> Self {
    Self(number: number, reset: reset, writable: mask, isStrict: mask != .max)
  }

  /// Reads the same always; writes have no effect.
  private static func fixed(_ number: UInt32, _ value: UInt64) -> Self {
    Self(number: number, reset: value, writable: 0, isStrict: false)
  }

  /// Reads zero; writes ask the processor for something that the engine need not do.
  private static func command(_ number: UInt32) -> Self {
    Self(number: number, reset: 0, writable: 0, isStrict: false, isCommand: true)
  }
}

/// The registers of ``ModelSpecificRow/all`` of one processor.
struct ModelSpecificStore {
  private var values: [UInt32: UInt64] = [:]

  private static let rows = Dictionary(
    uniqueKeysWithValues: ModelSpecificRow.all.map { ($0.number, $0) })

  /// The register's value; `nil` where there is none.
  func read(_ number: UInt32) -> UInt64? { values[number] ?? Self.rows[number]?.reset }

  /// Returns whether there is such a register and it takes the value. From outside the guest, what
  /// is fixed for the guest can be set.
  mutating func write(_ number: UInt32, _ value: UInt64, byHost: Bool) -> Bool {
    guard let row = Self.rows[number] else { return false }
    if row.isCommand { return true }
    let old = values[number] ?? row.reset
    guard !row.isStrict || (value ^ old) & ~row.writable == 0 else { return false }
    let new = byHost ? value : (old & ~row.writable) | (value & row.writable)
    values[number] = new | row.lasting
    return true
  }
}
