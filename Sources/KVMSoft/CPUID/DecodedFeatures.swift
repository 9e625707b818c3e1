import Engine
import KVM

extension GuestFeatures {
  /// The same features as the engine's decoder names them.
  var decoded: FeatureSet {
    var set = FeatureSet.monitor
    for name in names {
      if let feature = Self.decoderFeatures[name] { set.insert(feature) }
    }
    return set
  }

  /// What the decoder lets a guest use that is told these answers: what they say, as far as the
  /// engine has it.
  static func decoded(from entries: [CPUIDEntry]) -> FeatureSet {
    let names = offered.features.filter { feature in
      let subleaf: UInt32 = feature.word == .savingEAX ? 1 : 0
      let entry = entries.first {
        $0.leaf == feature.word.leaf && ($0.subleaf ?? subleaf) == subleaf
      }
      return (entry?[feature.word] ?? 0) >> feature.bit & 1 != 0
    }
    // MONITOR decides itself whether it is there.
    return FeatureSet(names.compactMap { decoderFeatures[$0.name] }).union(.monitor)
  }

  private static let decoderFeatures: [String: FeatureSet] = [
    "pni": .sse3, "ssse3": .ssse3, "sse4_1": .sse41, "sse4_2": .sse42, "aes": .aes,
    "pclmulqdq": .pclmulqdq, "sha_ni": .sha, "avx": .avx, "avx2": .avx2, "fma": .fma,
    "f16c": .f16c, "popcnt": .popcnt, "abm": .lzcnt, "bmi1": .bmi1, "bmi2": .bmi2, "adx": .adx,
    "movbe": .movbe, "cx16": .cmpxchg16b, "rdrand": .rdrand, "rdseed": .rdseed,
    "rdpid": .rdpid, "rdtscp": .rdtscp, "lahf_lm": .lahfLongMode, "xsave": .xsave,
    "xsaveopt": .xsaveopt, "xsavec": .xsavec, "xsaves": .xsaves, "fsgsbase": .fsgsbase,
    "smap": .smap,
    "invpcid": .invpcid, "clflushopt": .clflushopt, "clwb": .clwb,
  ]
}

extension CPUIDEntry {
  fileprivate subscript(word: FeatureWord) -> UInt32 {
    switch word {
    case .savingEAX, .mitigationsEAX: eax
    case .structuredEBX: ebx
    case .standardECX, .structuredECX, .extendedECX, .mitigationsECX: ecx
    case .standardEDX, .structuredEDX, .extendedEDX, .powerEDX: edx
    }
  }
}
