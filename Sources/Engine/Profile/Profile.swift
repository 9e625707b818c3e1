import Synchronization

/// Where the time of this process's guests goes, on request.
///
/// Machines that are made while one is ``wanted`` have their processors sampled, and the helpers that translated code
/// calls counted. Without one, nothing of this is there: the counting is emitted code.
package final class Profile: Sendable {
  /// What a processor was doing, as translated code tells samples and counters.
  package enum Activity: Int, CaseIterable, Sendable {
    case code, access, group, segment, commit, system, link, find, attention, raise, hostFault
    case begin

    package var title: String {
      switch self {
      case .code: "translated code"
      case .access: "soft-TLB misses, bounced accesses"
      case .group: "soft-TLB misses of access groups"
      case .segment: "segment checks"
      case .commit: "committed writes"
      case .system: "system instructions"
      case .link: "direct jumps not linked yet"
      case .find: "jumps that missed the jump cache"
      case .attention: "interrupts and requests"
      case .raise: "exceptions known to the translator"
      case .hostFault: "exceptions of the host's processor"
      case .begin: "begins of a run"
      }
    }
  }

  /// What the guest did that its environment answers.
  package enum Exit: Hashable, Sendable {
    case readPort(UInt16)
    case writePort(UInt16)
    case readMemory(UInt64)
    case writeMemory(UInt64)
    case readRegister(UInt32)
    case writeRegister(UInt32)
  }

  /// Sums over the processors that have ended.
  package struct Result: Sendable {
    /// Nanoseconds of processor time, and samples taken in them.
    package var time: UInt64 = 0
    package var samples = 0
    package var lostSamples = 0
    /// By ``Activity``; and outside runs: devices, waiting.
    package var samplesByActivity = [Int](repeating: 0, count: Activity.allCases.count)
    package var samplesOutside = 0
    package var samplesOfTranslation = 0
    package var calls = [UInt64](repeating: 0, count: Activity.allCases.count)
    /// By guest linear address.
    package var samplesByAddress: [UInt64: Int] = [:]
    package var systemInstructions: [String: Int] = [:]
    package var exits: [Exit: Int] = [:]
    package var blocks = 0
    package var guestInstructions = 0
    package var translationTime: UInt64 = 0
    package var codeBytes = 0
    package var flushes = 0
    /// Translated blocks, if asked for.
    package var map: [MappedBlock] = []
  }

  /// Where a block's code is in this process.
  package struct MappedBlock: Sendable {
    package var start: UInt64
    package var size: Int
    package var guestPhysical: UInt64
  }

  /// Whether ``Result/map`` is wanted.
  package let keepsMap: Bool
  private let sum = Mutex(Result())

  private init(keepsMap: Bool) { self.keepsMap = keepsMap }

  private static let current = Mutex<Profile?>(nil)
  /// The profile that machines made from now on report to.
  static var wanted: Profile? { current.withLock { $0 } }

  /// Begins the profile of all machines to come.
  package static func begin(keepsMap: Bool) -> Profile {
    let profile = Profile(keepsMap: keepsMap)
    current.withLock { $0 = profile }
    return profile
  }

  /// What the processors that have ended have come to.
  package var result: Result { sum.withLock { $0 } }

  func add(_ body: (inout Result) -> Void) { sum.withLock { body(&$0) } }
}
