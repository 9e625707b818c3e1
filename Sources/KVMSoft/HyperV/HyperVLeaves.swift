import Glibc
import Host
import KVM

/// What a program can have CPUID tell its guest of Hyper-V (KVM_GET_SUPPORTED_HV_CPUID).
///
/// Reference: Hypervisor Top-Level Functional Specification, "Hypervisor CPUID Leaf Range".
enum HyperVLeaves {
  /// "Hv#1": the interface, by which guests know that there is one.
  static let interface: UInt32 = 0x3123_7648
  /// "VS#1": the debugger's.
  private static let debuggerInterface: UInt32 = 0x3123_5356
  /// KVM's name where it stands for Hyper-V: "Linux KVM Hv".
  private static let vendor: (UInt32, UInt32, UInt32) = (0x756e_694c, 0x564b_2078, 0x7648_204d)

  /// - Parameter hasLocalAPIC: whether the processor's APIC is the engine's.
  static func all(hasLocalAPIC: Bool) -> [CPUIDEntry] {
    [
      CPUIDEntry(0x4000_0000, nil, (0x4000_0082, vendor.0, vendor.1, vendor.2)),
      CPUIDEntry(0x4000_0001, nil, (interface, 0, 0, 0)),
      // Build 14393 of version 10.0, which had what is here.
      CPUIDEntry(0x4000_0002, nil, (0x3839, 0xa_0000, 0, 0)),
      CPUIDEntry(
        0x4000_0003, nil, (registers, calls, 0, others | (hasLocalAPIC ? directTimers : 0))),
      CPUIDEntry(
        0x4000_0004, nil, (recommendations | (hasLocalAPIC ? clusterInterrupts : 0), 0xfff, 0, 0)),
      CPUIDEntry(0x4000_0005, nil, (UInt32(SoftMachine.processorLimit), 64, 0, 0)),
      CPUIDEntry(0x4000_0080, nil, (0, vendor.0, vendor.1, vendor.2)),
      CPUIDEntry(0x4000_0081, nil, (debuggerInterface, 0, 0, 0)),
      // Kernels may be debugged.
      CPUIDEntry(0x4000_0082, nil, (1 << 1, 0, 0, 0)),
      // For guests that run guests, KVM always tells of the enlightened MSR bitmap.
      CPUIDEntry(0x4000_000a, nil, (1 << 19, 1, 0, 0)),
    ]
  }

  /// The bits of ``HyperVFeatures``: all registers that there are.
  private static let registers: UInt32 = 0x2aff
  /// Posting messages, signalling events, debugging.
  private static let calls: UInt32 = 1 << 4 | 1 << 5 | 1 << 11
  /// Debugging, input in vector registers, frequencies, crash and debugger registers.
  private static let others: UInt32 = 1 << 1 | 1 << 4 | 1 << 8 | 1 << 10 | 1 << 11
  private static let directTimers: UInt32 = 1 << 19

  /// Calls for remote flushes, the APIC's registers, no watchdogs, no automatic ends of interrupts,
  /// sets of more than 64 processors.
  private static let recommendations: UInt32 =
    1 << 2 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 11 | (sharesCores ? 0 : unsharedCores)
  private static let clusterInterrupts: UInt32 = 1 << 10
  /// Virtual processors never share a core unless CPUID says so.
  private static let unsharedCores: UInt32 = 1 << 18

  /// Whether the host's cores have several threads, or could.
  private static let sharesCores: Bool = {
    guard let file = try? FileDescriptor.open("/sys/devices/system/cpu/smt/control", O_RDONLY),
      let bytes = try? file.read(upTo: 16)
    else { return true }
    let control = String(decoding: bytes, as: UTF8.self)
    return !control.hasPrefix("forceoff") && !control.hasPrefix("notsupported")
  }()
}
