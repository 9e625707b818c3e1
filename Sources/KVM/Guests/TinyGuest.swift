/// A guest of a few instructions that shows whether a hypervisor can do one thing.
///
/// Its RAM is 2 MiB, its code begins at 0x1000 and its stack below 0x9000. It reports bytes on port
/// 0x10, asks for an interrupt on port 0x12, and ends with HLT or a write
/// to port 0x11.
public struct TinyGuest: Sendable {
  /// A word for machines, unique among ``all``.
  public let name: String
  /// What it tries, for people.
  public let title: String
  public let mode: ProcessorMode
  public let code: [UInt8]
  /// More code, by address: handlers, mostly.
  let parts: [UInt64: [UInt8]]
  /// What it reports when everything works.
  public let output: [UInt8]
  /// Whether an unmodified 64-bit Linux kernel depends on it.
  public let isNeededByLinux: Bool
  /// Whether the machine has an interrupt controller; its line 0 is raised on request.
  let usesInterrupts: Bool

  init(
    _ name: String, _ title: String, _ mode: ProcessorMode, code: [UInt8], output: [UInt8],
    parts: [UInt64: [UInt8]] = [:]
  ) {
    self.name = name
    self.title = title
    self.mode = mode
    self.code = code
    self.parts = parts
    self.output = output
    isNeededByLinux = mode == .long || name == "interrupt"
    usesInterrupts = name == "interrupt"
  }
}

/// How a processor reads its code and finds its memory.
public enum ProcessorMode: String, Hashable, Sendable, CaseIterable {
  case real
  case protected
  /// 32-bit paging, 4 KiB pages.
  case paged
  /// 32-bit paging with 64-bit entries.
  case extended
  case long
}

/// What a tiny guest showed.
public enum Verdict: Hashable, Sendable {
  case passed
  /// A sentence says how it went wrong.
  case failed(String)

  public var isPassed: Bool { self == .passed }
}
