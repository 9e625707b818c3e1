import Host

/// A register of a CPUID leaf that is a set of feature bits.
enum FeatureWord: CaseIterable {
  case standardECX, standardEDX
  case structuredEBX, structuredECX, structuredEDX
  case savingEAX
  case extendedECX, extendedEDX
  case powerEDX
  case mitigationsEAX, mitigationsECX

  var leaf: UInt32 {
    switch self {
    case .standardECX, .standardEDX: 1
    case .structuredEBX, .structuredECX, .structuredEDX: 7
    case .savingEAX: 0xd
    case .extendedECX, .extendedEDX: 0x8000_0001
    case .powerEDX: 0x8000_0007
    case .mitigationsEAX, .mitigationsECX: 0x8000_0021
    }
  }

  /// What the host's processor has in this word.
  var onHost: UInt32 {
    let limit = HostProcessor.identify(leaf & 0x8000_0000).eax
    guard leaf <= limit else { return 0 }
    let (eax, ebx, ecx, edx) = HostProcessor.identify(leaf, self == .savingEAX ? 1 : 0)
    return switch self {
    case .savingEAX, .mitigationsEAX: eax
    case .structuredEBX: ebx
    case .standardECX, .structuredECX, .extendedECX, .mitigationsECX: ecx
    case .standardEDX, .structuredEDX, .extendedEDX, .powerEDX: edx
    }
  }
}

/// One feature that the engine can give a guest.
struct GuestFeature {
  /// As Linux spells it in /proc/cpuinfo.
  let name: String
  let word: FeatureWord
  let bit: UInt32
  /// Whether the host's processor must have it, because it carries the instructions out.
  let needsHost: Bool
  /// State components (XCR0) that the host's system must have enabled.
  let states: UInt64

  init(_ name: String, _ word: FeatureWord, _ bit: UInt32, needsHost: Bool, states: UInt64 = 0) {
    (self.name, self.word, self.bit) = (name, word, bit)
    (self.needsHost, self.states) = (needsHost, states)
  }
}

/// The features of the software engine's processor on this host.
public struct GuestFeatures: Sendable {
  let features: [GuestFeature]

  /// What the engine knows and this host has.
  public static let offered = GuestFeatures()

  private init() {
    var host: [FeatureWord: UInt32] = [:]
    for word in FeatureWord.allCases { host[word] = word.onHost }
    let states = HostProcessor.enabledStates
    features = GuestFeature.all.filter { feature in
      let isOnHost = host[feature.word].map { $0 >> feature.bit & 1 != 0 } ?? false
      return (isOnHost || !feature.needsHost) && states & feature.states == feature.states
    }
  }

  /// As Linux spells them, in the order of CPUID.
  public var names: [String] { features.map(\.name) }

  /// The bits of one word.
  subscript(word: FeatureWord) -> UInt32 {
    features.reduce(0) { $1.word == word ? $0 | 1 << $1.bit : $0 }
  }
}
