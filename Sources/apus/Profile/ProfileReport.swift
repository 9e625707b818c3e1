import Engine
import FoundationEssentials

/// A profile as `apus run --profile` prints it, and as `--json` does.
struct ProfileReport: Encodable {
  struct Share: Encodable {
    var name: String
    /// Of all samples, or of all calls.
    var percent: Double?
    var count: Int
  }

  let seconds: Double
  let samples: Int
  let lostSamples: Int
  let time: [Share]
  let functions: [Share]
  let helperCalls: [Share]
  let systemInstructions: [Share]
  let exits: [Share]
  let translation: Translation

  struct Translation: Encodable {
    let blocks: Int
    let guestInstructions: Int
    let nanosecondsPerInstruction: Double
    let percentOfTime: Double
    let codeBytes: Int
    let codeBytesPerInstruction: Double
    let flushes: Int
  }

  init(_ result: Profile.Result, symbols: SymbolTable?) {
    seconds = Double(result.time) / 1e9
    samples = result.samples
    lostSamples = result.lostSamples
    func shares(_ counts: [(String, Int)], most: Int, ofSamples: Bool) -> [Share] {
      counts.filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }.prefix(most).map { name, count in
        let percent = ofSamples ? Self.percent(count, of: result.samples) : nil
        return Share(name: name, percent: percent, count: count)
      }
    }
    let activities = Profile.Activity.allCases
    time = shares(
      activities.map { ($0.title, result.samplesByActivity[$0.rawValue]) } + [
        ("translating", result.samplesOfTranslation),
        ("outside the guest: waiting, starting", result.samplesOutside),
      ], most: .max, ofSamples: true)
    functions = shares(
      Self.byFunction(result.samplesByAddress, symbols), most: 40, ofSamples: true)
    helperCalls = shares(
      activities.map { ($0.title, Int(result.calls[$0.rawValue])) }, most: .max, ofSamples: false)
    systemInstructions = shares(
      result.systemInstructions.map { ($0, $1) }, most: 40, ofSamples: false)
    exits = shares(result.exits.map { ($0.title, $1) }, most: 40, ofSamples: false)
    let instructions = Double(max(result.guestInstructions, 1))
    translation = Translation(
      blocks: result.blocks, guestInstructions: result.guestInstructions,
      nanosecondsPerInstruction: Self.rounded(Double(result.translationTime) / instructions),
      percentOfTime: Self.rounded(
        100 * Double(result.translationTime) / Double(max(result.time, 1))),
      codeBytes: result.codeBytes,
      codeBytesPerInstruction: Self.rounded(Double(result.codeBytes) / instructions),
      flushes: result.flushes)
  }

  private static func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }

  private static func percent(_ count: Int, of all: Int) -> Double {
    rounded(100 * Double(count) / Double(max(all, 1)))
  }

  /// Samples by function, or by page where no name is known.
  private static func byFunction(
    _ samples: [UInt64: Int], _ symbols: SymbolTable?
  ) -> [(String, Int)] {
    var sums: [String: Int] = [:]
    for (address, count) in samples {
      let name = symbols?.name(of: address) ?? "page 0x" + String(address & ~0xfff, radix: 16)
      sums[name, default: 0] += count
    }
    return sums.map { ($0, $1) }
  }
}

extension Profile.Exit {
  fileprivate var title: String {
    switch self {
    case .readPort(let port): "read port 0x" + String(port, radix: 16)
    case .writePort(let port): "write port 0x" + String(port, radix: 16)
    case .readMemory(let address): "read memory 0x" + String(address, radix: 16)
    case .writeMemory(let address): "write memory 0x" + String(address, radix: 16)
    case .readRegister(let number): "read register 0x" + String(number, radix: 16)
    case .writeRegister(let number): "write register 0x" + String(number, radix: 16)
    }
  }
}

extension ProfileReport {
  /// For people.
  var text: String {
    var text = "\nProfile: \(seconds) s of processor time, \(samples) samples"
    text += lostSamples > 0 ? ", \(lostSamples) lost\n" : "\n"
    func section(_ title: String, _ shares: [Share]) {
      guard !shares.isEmpty else { return }
      text += "\n\(title)\n"
      for share in shares {
        let figure = share.percent.map { "\($0) %" } ?? "\(share.count)"
        text += figure.leftPadded(to: 12) + "  \(share.name)\n"
      }
    }
    section("Time", time)
    section("Translated code, by function or page", functions)
    section("Helper calls", helperCalls)
    section("System instructions", systemInstructions)
    section("Exits", exits)
    text += """

      Translation: \(translation.blocks) blocks, \(translation.guestInstructions) instructions, \
      \(translation.nanosecondsPerInstruction) ns each, \(translation.percentOfTime) % of the time; \
      \(translation.codeBytes >> 10) KiB of code (\(translation.codeBytesPerInstruction) bytes each), \
      \(translation.flushes) flushes\n
      """
    return text
  }

  func json() throws(Failure) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else {
      throw Failure("the profile cannot be written as JSON.")
    }
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}
