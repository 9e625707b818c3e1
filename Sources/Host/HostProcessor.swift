internal import CLinux
import Glibc

/// The processor this process runs on.
public enum HostProcessor {
  /// What its CPUID instruction answers. Costs microseconds where the host is itself virtual.
  public static func identify(
    _ leaf: UInt32, _ subleaf: UInt32 = 0
  ) -> (eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32) {
    let registers = apus_cpuid(leaf, subleaf)
    return (registers.eax, registers.ebx, registers.ecx, registers.edx)
  }

  /// The time-stamp counter.
  public static var timeStamp: UInt64 { apus_read_time_stamp() }

  /// The state components that the system lets programs use (XCR0); 0 without XSAVE.
  public static let enabledStates: UInt64 = {
    let systemUsesExtendedStates = identify(1).ecx & 1 << 27 != 0
    return systemUsesExtendedStates ? apus_read_xcr0() : 0
  }()

  /// Whether XGETBV tells which components are not in their initial state.
  public static let tellsStatesInUse = identify(0).eax >= 0xd && identify(0xd, 1).eax & 4 != 0

  /// Maker's name and the name it gives the model, from CPUID's text leaves.
  public static let name: String = {
    guard identify(0x8000_0000).eax >= 0x8000_0004 else { return "unknown" }
    var bytes: [UInt8] = []
    for leaf in UInt32(0x8000_0002)...0x8000_0004 {
      let (eax, ebx, ecx, edx) = identify(leaf)
      for word in [eax, ebx, ecx, edx] {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
          bytes.append(UInt8(truncatingIfNeeded: word >> shift))
        }
      }
    }
    let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    return text.split(separator: " ").joined(separator: " ")
  }()

  /// Ticks of the time-stamp counter per millisecond: as the processor or its hypervisor states
  /// it, else measured once against the system's clock.
  public static let timeStampKilohertz: UInt64 = statedKilohertz ?? measuredKilohertz()

  /// Reference: SDM vol. 2A, CPUID leaf 15H; leaf 4000_0010H is a convention of hypervisors.
  private static var statedKilohertz: UInt64? {
    if identify(0).eax >= 0x15 {
      let (denominator, numerator, crystal, _) = identify(0x15)
      if denominator != 0, numerator != 0, crystal != 0 {
        return UInt64(crystal) * UInt64(numerator) / UInt64(denominator) / 1000
      }
    }
    let isVirtual = identify(1).ecx & 1 << 31 != 0
    if isVirtual, (0x4000_0010...0x4000_00ff).contains(identify(0x4000_0000).eax) {
      let kilohertz = identify(0x4000_0010).eax
      if kilohertz != 0 { return UInt64(kilohertz) }
    }
    return nil
  }

  /// Starts measuring the counter's rate, so that whoever needs it later waits less for it.
  public static func beginMeasurement() { _ = firstReading }

  private static let firstReading = bothClocks()
  /// How far apart two readings must be for the rate between them, in nanoseconds.
  private static let measurementTime: UInt64 = 10_000_000

  private static func measuredKilohertz() -> UInt64 {
    let start = firstReading
    let (_, elapsed) = distance(from: start, to: bothClocks())
    if elapsed < measurementTime {
      var pause = timespec(tv_sec: 0, tv_nsec: Int(measurementTime - elapsed))
      unsafe nanosleep(&pause, nil)
    }
    let (ticks, nanoseconds) = distance(from: start, to: bothClocks())
    let (product, overflow) = ticks.multipliedReportingOverflow(by: 1_000_000)
    // Hours later, milliseconds are fine enough.
    return overflow ? ticks / (nanoseconds / 1_000_000) : product / nanoseconds
  }

  private static func distance(
    from start: (ticks: UInt64, nanoseconds: UInt64), to end: (ticks: UInt64, nanoseconds: UInt64)
  ) -> (ticks: UInt64, nanoseconds: UInt64) {
    (end.ticks &- start.ticks, max(end.nanoseconds &- start.nanoseconds, 1))
  }

  /// The counter and the system's clock at one moment: the best of some tries, as something may
  /// come between the two readings.
  private static func bothClocks() -> (ticks: UInt64, nanoseconds: UInt64) {
    var best: (ticks: UInt64, nanoseconds: UInt64) = (0, 0)
    var shortest = UInt64.max
    for _ in 0..<10 {
      let before = timeStamp
      let nanoseconds = rawNanoseconds
      let width = timeStamp &- before
      guard width < shortest else { continue }
      (shortest, best) = (width, (before &+ width / 2, nanoseconds))
    }
    return best
  }

  private static var rawNanoseconds: UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC_RAW, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Whether the system lets programs set their segment bases (FSGSBASE).
  public static let maySetSegmentBases = apus_may_write_segment_bases() != 0
}
