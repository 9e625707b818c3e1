import Engine
import KVM

/// CPUID's answers, found by leaf and subleaf.
struct CPUIDTable {
  /// As they were given.
  let entries: [CPUIDEntry]
  private var answers: [UInt64: CPUIDResult] = [:]
  /// Leaves whose answer does not depend on the subleaf.
  private var plain: Set<UInt32> = []

  /// As everywhere in KVM, the first of two entries that say the same counts.
  init(_ entries: [CPUIDEntry]) {
    self.entries = entries
    for entry in entries {
      let key = Self.key(entry.leaf, entry.subleaf ?? 0)
      guard answers[key] == nil else { continue }
      answers[key] = CPUIDResult(
        eax: entry.eax, ebx: entry.ebx, ecx: entry.ecx, edx: entry.edx)
      if entry.subleaf == nil { plain.insert(entry.leaf) }
    }
    addBranchHistoryControl()
  }

  /// Adds BHI_CTRL, the one immunity that is not in IA32_ARCH_CAPABILITIES, for clients that offer
  /// that register and are too old to have an opinion of this leaf. docs/decisions.md has the reason.
  private mutating func addBranchHistoryControl() {
    let key = Self.key(7, 2)
    guard self[7, 0].edx & 1 << 29 != 0, answers[key] == nil else { return }
    answers[key] = CPUIDResult(eax: 0, ebx: 0, ecx: 0, edx: 1 << 4)
  }

  var isEmpty: Bool { answers.isEmpty }

  /// Zeros for what there is not, as AMD's processors answer.
  subscript(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    let key = Self.key(leaf, plain.contains(leaf) ? 0 : subleaf)
    if let answer = answers[key] { return answer }
    // Beyond the last level of the topology, the processor's own number is still told.
    let number = leaf == 0xb ? answers[Self.key(leaf, 0)]?.edx ?? 0 : 0
    return CPUIDResult(eax: 0, ebx: 0, ecx: leaf == 0xb ? subleaf & 0xff : 0, edx: number)
  }

  /// The features of KVM's own interface, whose leaves come behind those of others.
  var paravirtualFeatures: UInt32 {
    let base = stride(from: UInt32(0x4000_0000), to: 0x4001_0000, by: 0x100).first { leaf in
      let answer = self[leaf, 0]
      return (answer.ebx, answer.ecx, answer.edx) == CPUIDLeaves.paravirtualSignature
    }
    return base.map { self[$0 + 1, 0].eax } ?? 0
  }

  private static func key(_ leaf: UInt32, _ subleaf: UInt32) -> UInt64 {
    UInt64(leaf) << 32 | UInt64(subleaf)
  }
}
