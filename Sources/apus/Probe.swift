import ArgumentParser
import FoundationEssentials
import Host
import KVM
import KVMLinux
import KVMSoft

/// Says what this host offers for running virtual machines, by trying it.
struct Probe: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what this host offers for running virtual machines, and why.")

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let report = ProbeReport(HostProbe(.all))
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(report), as: UTF8.self))
    } else {
      print(report.text)
    }
  }
}

/// The probe's findings as `--json` prints them.
struct ProbeReport: Encodable {
  struct Kernel: Encodable {
    /// Whether `/dev/kvm` opens and makes machines; what they can run is another matter.
    let isUsable: Bool
    let canRunStockKernel: Bool
    let reason: String?
    let cure: String?
    let checks: [Check]
  }

  struct Check: Encodable {
    let name: String
    let title: String
    let passed: Bool
    let reason: String?
    let neededByLinux: Bool
  }

  struct Software: Encodable {
    let isUsable: Bool
    /// Why the engine does not run here.
    let reasons: [String]
    let processor: String
    let timeStampKilohertz: UInt64
    /// Features of the guest's processor, as Linux spells them.
    let features: [String]
  }

  static let kernelPraise = "/dev/kvm runs everything that was tried on it."

  let kernel: Kernel
  let software: Software
  /// What `--accel auto` takes.
  let choice: String
  let why: String

  init(_ probe: HostProbe) {
    kernel = Kernel(
      isUsable: probe.device == .usable, canRunStockKernel: probe.canRunStockKernel,
      reason: probe.reason, cure: probe.cure, checks: probe.checks.map(Check.init))
    let obstacles = HostRequirement.unmet.map(\.sentence)
    software = Software(
      isUsable: obstacles.isEmpty, reasons: obstacles, processor: HostProcessor.name,
      timeStampKilohertz: HostProcessor.timeStampKilohertz,
      features: GuestFeatures.offered.names)
    choice = probe.canRunStockKernel ? KernelHypervisor.name : SoftHypervisor.name
    why = probe.reason ?? Self.kernelPraise
  }
}

extension ProbeReport.Check {
  init(_ check: HostProbe.Check) {
    name = check.guest.name
    title = check.guest.title
    passed = check.verdict.isPassed
    reason = if case .failed(let reason) = check.verdict { reason } else { nil }
    neededByLinux = check.guest.isNeededByLinux
  }
}

extension ProbeReport {
  /// The findings for people.
  var text: String {
    var lines = ["/dev/kvm"]
    if !kernel.isUsable, let reason = kernel.reason { lines.append("  no   \(reason)") }
    for check in kernel.checks {
      lines.append("  \(check.passed ? "yes" : "no ")  \(check.title)")
      if let reason = check.reason { lines.append("       \(reason)") }
    }
    if let cure = kernel.cure { lines.append("  cure \(cure)") }
    lines.append("software engine")
    lines += software.reasons.map { "  no   \($0)" }
    if software.isUsable { lines.append("  yes  on \(software.processor), whose guests have") }
    lines += Self.wrapped(software.features).map { "       " + $0 }
    lines += ["--accel auto: \(choice)", "  \(why)"]
    return lines.joined(separator: "\n")
  }

  /// Words in lines of at most 72 characters.
  private static func wrapped(_ words: [String]) -> [String] {
    var lines: [String] = []
    for word in words {
      if let last = lines.last, last.count + word.count < 72 {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(word)
      }
    }
    return lines
  }
}
