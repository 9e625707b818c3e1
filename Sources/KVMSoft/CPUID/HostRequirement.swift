import Host

/// Something that translated code uses, whatever its guest does.
public enum HostRequirement: CaseIterable, Sendable {
  case avx
  case bmi2
  case segmentBases

  /// What this host lacks; the engine cannot run without.
  public static let unmet: [HostRequirement] = allCases.filter { !$0.isMet }

  private var isMet: Bool {
    switch self {
    // SSE and AVX state, which the system must save for programs.
    case .avx: HostProcessor.enabledStates & 6 == 6
    case .bmi2: FeatureWord.structuredEBX.onHost >> 8 & 1 != 0
    case .segmentBases: HostProcessor.maySetSegmentBases
    }
  }

  /// Why the engine does not run, for people.
  public var sentence: String {
    switch self {
    case .avx:
      "The software engine needs a processor with AVX (2011 or later), and this one has none."
    case .bmi2:
      "The software engine needs a processor with BMI2 (2013 or later), and this one has none."
    case .segmentBases:
      "The software engine needs FSGSBASE, which Linux offers to programs since version 5.9."
    }
  }
}
