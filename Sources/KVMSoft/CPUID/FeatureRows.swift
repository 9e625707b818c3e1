extension GuestFeature {
  /// State components that AVX needs: SSE and AVX.
  private static let wide: UInt64 = 0b110

  /// Every feature that the engine has, a row each.
  ///
  /// Reference: SDM vol. 2A, CPUID; APM vol. 3, appendix E.
  static let all: [GuestFeature] = baseline + vectors + structured + extended + mitigations

  /// What every x86-64 processor has, and what the engine does by itself.
  private static let baseline: [GuestFeature] = [
    own("fpu", .standardEDX, 0),
    own("vme", .standardEDX, 1),
    own("de", .standardEDX, 2),
    own("pse", .standardEDX, 3),
    own("tsc", .standardEDX, 4),
    own("msr", .standardEDX, 5),
    own("pae", .standardEDX, 6),
    own("mce", .standardEDX, 7),
    own("cx8", .standardEDX, 8),
    own("apic", .standardEDX, 9),
    own("sep", .standardEDX, 11),
    own("mtrr", .standardEDX, 12),
    own("pge", .standardEDX, 13),
    own("mca", .standardEDX, 14),
    own("cmov", .standardEDX, 15),
    own("pat", .standardEDX, 16),
    own("pse36", .standardEDX, 17),
    own("clflush", .standardEDX, 19),
    own("mmx", .standardEDX, 23),
    own("fxsr", .standardEDX, 24),
    own("sse", .standardEDX, 25),
    own("sse2", .standardEDX, 26),
    own("pcid", .standardECX, 17),
    own("x2apic", .standardECX, 21),
    own("tsc_deadline_timer", .standardECX, 24),
    own("hypervisor", .standardECX, 31),
  ]

  /// Instructions of leaf 1 that the host carries out.
  private static let vectors: [GuestFeature] = [
    shared("pni", .standardECX, 0),
    shared("pclmulqdq", .standardECX, 1),
    shared("ssse3", .standardECX, 9),
    shared("fma", .standardECX, 12, states: wide),
    shared("cx16", .standardECX, 13),
    shared("sse4_1", .standardECX, 19),
    shared("sse4_2", .standardECX, 20),
    shared("movbe", .standardECX, 22),
    shared("popcnt", .standardECX, 23),
    shared("aes", .standardECX, 25),
    shared("xsave", .standardECX, 26, states: 0b11),
    shared("avx", .standardECX, 28, states: wide),
    shared("f16c", .standardECX, 29, states: wide),
    shared("rdrand", .standardECX, 30),
  ]

  private static let structured: [GuestFeature] = [
    own("fsgsbase", .structuredEBX, 0),
    own("tsc_adjust", .structuredEBX, 1),
    shared("bmi1", .structuredEBX, 3),
    shared("avx2", .structuredEBX, 5, states: wide),
    own("smep", .structuredEBX, 7),
    shared("bmi2", .structuredEBX, 8),
    own("erms", .structuredEBX, 9),
    own("invpcid", .structuredEBX, 10),
    shared("rdseed", .structuredEBX, 18),
    shared("adx", .structuredEBX, 19),
    own("smap", .structuredEBX, 20),
    shared("clflushopt", .structuredEBX, 23),
    shared("clwb", .structuredEBX, 24),
    shared("sha_ni", .structuredEBX, 29),
    own("umip", .structuredECX, 2),
    own("rdpid", .structuredECX, 22),
    own("fsrm", .structuredEDX, 4),
    own("arch_capabilities", .structuredEDX, 29),
    shared("xsaveopt", .savingEAX, 0),
    shared("xsavec", .savingEAX, 1),
    shared("xgetbv1", .savingEAX, 2),
    own("xsaves", .savingEAX, 3),
  ]

  private static let extended: [GuestFeature] = [
    own("lahf_lm", .extendedECX, 0),
    shared("abm", .extendedECX, 5),
    shared("3dnowprefetch", .extendedECX, 8),
    own("syscall", .extendedEDX, 11),
    own("nx", .extendedEDX, 20),
    own("pdpe1gb", .extendedEDX, 26),
    own("rdtscp", .extendedEDX, 27),
    own("lm", .extendedEDX, 29),
    own("constant_tsc", .powerEDX, 8),
  ]

  /// A translated guest speculates no more than its monitor; these spare it its own precautions.
  private static let mitigations: [GuestFeature] = [
    own("lfence_rdtsc", .mitigationsEAX, 2),
    own("null_seg_clr_base", .mitigationsEAX, 6),
    own("srso_no", .mitigationsEAX, 29),
    own("tsa_sq_no", .mitigationsECX, 1),
    own("tsa_l1_no", .mitigationsECX, 2),
  ]

  /// A feature of the engine's own, whatever the host.
  private static func own(_ name: String, _ word: FeatureWord, _ bit: UInt32) -> Self {
    Self(name, word, bit, needsHost: false)
  }

  /// Instructions that the host's processor carries out for the guest.
  private static func shared(
    _ name: String, _ word: FeatureWord, _ bit: UInt32, states: UInt64 = 0
  ) -> Self {
    Self(name, word, bit, needsHost: true, states: states)
  }
}
