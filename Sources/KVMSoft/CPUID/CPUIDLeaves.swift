import Host
import KVM

/// What the engine's processor answers to CPUID: an AMD processor under KVM, so that stock kernels
/// find everything they know how to use.
///
/// Reference: SDM vol. 2A, CPUID; APM vol. 3, appendix E; Documentation/virt/kvm/x86/cpuid.rst.
enum CPUIDLeaves {
  /// State components that guests can enable in XCR0.
  static var states: UInt64 {
    HostProcessor.enabledStates & (GuestFeatures.offered[.standardECX] >> 28 & 1 != 0 ? 7 : 3)
  }

  /// Bits of a physical address, as the engine's page walk has them.
  private static let physicalAddressBits: UInt32 = 46
  /// Family 19h, model 1, stepping 1.
  private static let signature: UInt32 = 0x00a0_0f11
  /// Bytes of the legacy area, the header and AVX's upper halves.
  private static let saveAreaSize: UInt32 = 512 + 64 + 256

  static func all(_ features: GuestFeatures = .offered) -> [CPUIDEntry] {
    standard(features) + saving(features) + hypervisor + extended(features)
  }

  private static func standard(_ features: GuestFeatures) -> [CPUIDEntry] {
    let vendor = text("AuthenticAMD")
    let kilohertz = HostProcessor.timeStampKilohertz
    let megahertz = UInt32(truncatingIfNeeded: kilohertz / 1000)
    return [
      CPUIDEntry(0, nil, (0x16, vendor[0], vendor[2], vendor[1])),
      CPUIDEntry(
        1, nil,
        // CLFLUSH moves 8 times 8 bytes; one logical processor.
        (signature, 0x0001_0800, features[.standardECX], features[.standardEDX])),
      CPUIDEntry(2, nil, (0, 0, 0, 0)),
      CPUIDEntry(
        7, 0,
        (0, features[.structuredEBX], features[.structuredECX], features[.structuredEDX])),
      CPUIDEntry(0xb, 0, (0, 1, 1 << 8, 0)),
      CPUIDEntry(0xb, 1, (0, 1, 1 | 2 << 8, 0)),
      // The counter's frequency is a crystal's of 1 MHz times kilohertz / 1000.
      CPUIDEntry(
        0x15, nil, (1000, UInt32(truncatingIfNeeded: kilohertz), 1_000_000, 0)),
      CPUIDEntry(0x16, nil, (megahertz, megahertz, 1000, 0)),
    ]
  }

  private static func saving(_ features: GuestFeatures) -> [CPUIDEntry] {
    guard features[.standardECX] >> 26 & 1 != 0 else { return [] }
    let states = UInt32(truncatingIfNeeded: states)
    let entries = [
      CPUIDEntry(0xd, 0, (states, saveAreaSize, saveAreaSize, 0)),
      CPUIDEntry(0xd, 1, (features[.savingEAX], saveAreaSize, 0, 0)),
    ]
    return states & 4 == 0 ? entries : entries + [CPUIDEntry(0xd, 2, (256, 576, 0, 0))]
  }

  /// Bits of leaf 4000_0001: ``ParavirtualClock`` by its old and new registers, and that ports need
  /// no delay; asynchronous page faults (bits 4 and 14), ``StealTime`` (5), ends of interrupts in
  /// memory (6), poll control (12); counters that agree (24).
  private static let paravirtualFeatures: UInt32 =
    1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 12 | 1 << 14 | 1 << 24

  /// "KVMKVMKVM", by which guests know KVM's interface.
  static let paravirtualSignature: (UInt32, UInt32, UInt32) = (0x4b4d_564b, 0x564b_4d56, 0x4d)

  private static let hypervisor: [CPUIDEntry] = [
    CPUIDEntry(
      0x4000_0000, nil,
      (
        0x4000_0001, paravirtualSignature.0, paravirtualSignature.1, paravirtualSignature.2
      )),
    CPUIDEntry(0x4000_0001, nil, (paravirtualFeatures, 0, 0, 0)),
  ]

  private static func extended(_ features: GuestFeatures) -> [CPUIDEntry] {
    let vendor = text("AuthenticAMD")
    let name = text("Apus virtual processor".padded(to: 48))
    // AMD repeats these bits of leaf 1 here.
    let repeated = features[.standardEDX] & 0x0183_f3ff
    return [
      CPUIDEntry(0x8000_0000, nil, (0x8000_0021, vendor[0], vendor[2], vendor[1])),
      CPUIDEntry(
        0x8000_0001, nil,
        (signature, 0, features[.extendedECX], features[.extendedEDX] | repeated)),
      CPUIDEntry(0x8000_0002, nil, (name[0], name[1], name[2], name[3])),
      CPUIDEntry(0x8000_0003, nil, (name[4], name[5], name[6], name[7])),
      CPUIDEntry(0x8000_0004, nil, (name[8], name[9], name[10], name[11])),
      // Caches and TLBs: 32 KiB of each first level, 512 KiB, 16 MiB; 64-byte lines.
      CPUIDEntry(0x8000_0005, nil, (0xff40_ff40, 0xff40_ff40, 0x2008_0140, 0x2008_0140)),
      CPUIDEntry(0x8000_0006, nil, (0x4800_6400, 0x6800_6400, 0x0200_6140, 0x0080_9140)),
      CPUIDEntry(0x8000_0007, nil, (0, 0, 0, features[.powerEDX])),
      CPUIDEntry(0x8000_0008, nil, (48 << 8 | physicalAddressBits, 0, 0, 0)),
      CPUIDEntry(
        0x8000_0021, nil, (features[.mitigationsEAX], 0, features[.mitigationsECX], 0)),
    ]
  }

  /// The text's bytes as little-endian words.
  private static func text(_ text: String) -> [UInt32] {
    let bytes = Array(text.utf8)
    return stride(from: 0, to: bytes.count - 3, by: 4).map { start in
      bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
  }
}

extension String {
  /// The text with NULs after it, `count` bytes in all.
  fileprivate func padded(to count: Int) -> String {
    self + String(repeating: "\0", count: Swift.max(0, count - utf8.count))
  }
}
