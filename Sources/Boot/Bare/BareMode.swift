import Bits
import GuestMemory
import X86

/// The mode in which a program without an operating system starts.
public enum BareMode: String, Codable, CaseIterable, Sendable {
  /// 16-bit real mode, all segments at 0.
  case real
  /// 32-bit protected mode, flat segments, no paging.
  case protected
  /// 32-bit paging with 4 MiB pages, each address mapped to itself.
  case paged
  /// 64-bit mode with 2 MiB pages, each address below 4 GiB mapped to itself.
  case long
}

/// What Apus keeps at the end of a bare guest's RAM: the stack, page tables, the descriptor table.
struct BareTables {
  private static let size: UInt64 = 0x8000
  private static let stackSize: UInt64 = 0x4000
  private static let codeSelector: UInt16 = 0x08
  private static let dataSelector: UInt16 = 0x10
  /// Present, writable, open to user mode; with the bit that makes a page large.
  private static let tableFlags: UInt64 = 0x07
  private static let largePageFlags: UInt64 = 0x87

  /// Where the tables begin, and the end of RAM.
  let start, end: UInt64
  private let mode: BareMode

  init(mode: BareMode, in memory: GuestMemory) {
    end = memory.regions.first?.range.upperBound ?? 0
    start = end - Self.size
    self.mode = mode
  }

  /// The stack grows down from the tables; in real mode it is at the end of the first segment.
  var stack: Range<UInt64> { start - Self.stackSize..<start }

  private var descriptorTable: UInt64 { start + 0x7000 }

  /// Writes what the mode needs.
  func write(to memory: GuestMemory) {
    if mode == .real { return }
    var descriptors: [UInt8] = []
    for segment in [nil, code, data] {
      descriptors.append(little: segment.map(InitialProcessorState.descriptor) ?? UInt64(0))
    }
    let pages = pageTables
    let isPlaced =
      unsafe memory.place(descriptors.span.bytes, at: descriptorTable)
      && memory.place(pages.span.bytes, at: start)
    precondition(isPlaced, "the tables are at the end of RAM")
  }

  /// The registers at `entry`.
  func state(entry: UInt64) -> InitialProcessorState {
    let system = (
      task: SegmentRegister(
        base: 0, limit: 0xffff, selector: 0, attributes: .init(rawValue: 0x8b)),
      local: SegmentRegister(
        base: 0, limit: 0xffff, selector: 0, attributes: .init(rawValue: 0x82))
    )
    let table =
      mode == .real
      ? (base: UInt64(0), limit: UInt16.max) : (base: descriptorTable, limit: 3 * 8 - 1)
    let (cr0, cr4, efer) = controls
    return InitialProcessorState(
      rip: mode == .real ? entry & 0xffff : entry, rsp: mode == .real ? 0xfffe : start, rsi: 0,
      rflags: .fixed, cs: mode == .real ? Self.realSegment(at: entry) : code,
      data: mode == .real ? Self.realSegment(at: 0) : data, task: system.task,
      localTable: system.local,
      globalDescriptorTable: DescriptorTable(base: table.base, limit: table.limit),
      interruptDescriptorTable: DescriptorTable(base: 0, limit: mode == .real ? 0x3ff : 0),
      cr0: cr0, cr3: mode == .paged || mode == .long ? start : 0, cr4: cr4, efer: efer)
  }

  private var controls: (CR0, CR4, EFER) {
    switch mode {
    case .real: (.extensionType, [], [])
    case .protected: ([.protection, .extensionType, .numericError], [], [])
    case .paged:
      (
        [.protection, .monitorCoprocessor, .extensionType, .numericError, .writeProtect, .paging],
        .pageSizeExtensions, []
      )
    case .long:
      (
        [.protection, .monitorCoprocessor, .extensionType, .numericError, .writeProtect, .paging],
        [.physicalAddressExtension, .fxsr, .simdExceptions], [.longModeEnable, .longModeActive]
      )
    }
  }

  private var code: SegmentRegister {
    Self.flat(Self.codeSelector, attributes: mode == .long ? 0xa09b : 0xc09b)
  }

  private var data: SegmentRegister { Self.flat(Self.dataSelector, attributes: 0xc093) }

  private static func flat(_ selector: UInt16, attributes: UInt16) -> SegmentRegister {
    SegmentRegister(
      base: 0, limit: .max, selector: selector, attributes: .init(rawValue: attributes))
  }

  private static func realSegment(at address: UInt64) -> SegmentRegister {
    // Offsets count from the start of the 64 KiB that the address is in.
    let base = address & ~0xffff
    return SegmentRegister(
      base: base, limit: 0xffff, selector: UInt16(truncatingIfNeeded: base >> 4),
      attributes: .init(rawValue: 0x93))
  }

  /// Reference: SDM vol. 3A, sections 4.3 and 4.5.4.
  private var pageTables: [UInt8] {
    var bytes: [UInt8] = []
    switch mode {
    case .real, .protected: break
    case .paged:
      for page in 0..<UInt64(1024) {
        bytes.append(little: UInt32(page << 22 | Self.largePageFlags))
      }
    case .long:
      bytes.append(little: start + 0x1000 | Self.tableFlags)
      bytes.append(contentsOf: repeatElement(0, count: 0x1000 - 8))
      for index in 0..<UInt64(4) {
        bytes.append(little: start + 0x2000 + index << 12 | Self.tableFlags)
      }
      bytes.append(contentsOf: repeatElement(0, count: 0x1000 - 4 * 8))
      for page in 0..<UInt64(4 * 512) { bytes.append(little: page << 21 | Self.largePageFlags) }
    }
    return bytes
  }
}
