import Engine

extension GuestFeatures {
  /// The same features as the engine's decoder names them.
  var decoded: FeatureSet {
    var set = FeatureSet()
    for name in names {
      if let feature = Self.decoderFeatures[name] { set.insert(feature) }
    }
    return set
  }

  private static let decoderFeatures: [String: FeatureSet] = [
    "pni": .sse3, "ssse3": .ssse3, "sse4_1": .sse41, "sse4_2": .sse42, "aes": .aes,
    "pclmulqdq": .pclmulqdq, "sha_ni": .sha, "avx": .avx, "avx2": .avx2, "fma": .fma,
    "f16c": .f16c, "popcnt": .popcnt, "abm": .lzcnt, "bmi1": .bmi1, "bmi2": .bmi2, "adx": .adx,
    "movbe": .movbe, "cx16": .cmpxchg16b, "rdrand": .rdrand, "rdseed": .rdseed,
    "rdpid": .rdpid, "rdtscp": .rdtscp, "lahf_lm": .lahfLongMode, "xsave": .xsave,
    "xsaveopt": .xsaveopt, "xsavec": .xsavec, "fsgsbase": .fsgsbase, "smap": .smap,
    "invpcid": .invpcid, "clflushopt": .clflushopt, "clwb": .clwb,
  ]
}
