/// Which model-specific registers KVM_GET_MSR_INDEX_LIST and its kin name. A program that saves a
/// machine reads and writes all of them, so each must exist and take what it gave.
enum ModelSpecificNumbers {
  /// What tells a program about the processor, before there is one.
  static let features: [UInt32] = [
    0x8b,  // the microcode's revision
    0x10a,  // IA32_ARCH_CAPABILITIES
    0x345,  // IA32_PERF_CAPABILITIES
    0xc001_1029,  // DE_CFG
  ]

  /// The state of a processor.
  static let state: [UInt32] = own + clocks + stored + HyperVRegister.listed

  /// Kept by the engine.
  private static let own: [UInt32] = [
    0x10,  // the time-stamp counter
    0x3b,  // IA32_TSC_ADJUST
    0x174, 0x175, 0x176,  // SYSENTER
    0x277,  // IA32_PAT
    0x6e0,  // IA32_TSC_DEADLINE
    0xda0,  // IA32_XSS
    0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084,  // SYSCALL
    0xc000_0102,  // the other GS base
    0xc000_0103,  // TSC_AUX
    0x17a, 0x17b,  // machine check
    0x34, 0x9e,  // the count of SMIs, SMBASE
  ]

  private static let clocks: [UInt32] = [0x11, 0x12, 0x4b56_4d00, 0x4b56_4d01]

  private static let stored: [UInt32] = [
    0x3a,  // IA32_FEATURE_CONTROL
    0x48,  // IA32_SPEC_CTRL
    0x8b, 0xce, 0x10a, 0x140,
    0x1a0,  // IA32_MISC_ENABLE
  ]
}
