import Bits
import GuestMemory
public import X86

/// What the first processor's registers hold when a kernel takes over; all others are zero.
public struct InitialProcessorState: Hashable, Sendable {
  public var rax: UInt64 = 0
  public var rbx: UInt64 = 0
  public var rip: UInt64
  public var rsp: UInt64
  public var rsi: UInt64
  public var rflags: RFLAGS
  public var cs: SegmentRegister
  /// DS, ES, FS, GS and SS.
  public var data: SegmentRegister
  public var task: SegmentRegister
  public var localTable: SegmentRegister
  public var globalDescriptorTable: DescriptorTable
  public var interruptDescriptorTable: DescriptorTable
  public var cr0: CR0
  public var cr3: UInt64
  public var cr4: CR4
  public var efer: EFER
}

extension InitialProcessorState {
  /// The selectors of Linux's boot protocol, then the task register's.
  private enum Selector {
    static let code: UInt16 = 0x10
    static let data: UInt16 = 0x18
    static let task: UInt16 = 0x20
  }

  /// 64-bit mode at `entry` with the first 4 GiB mapped to themselves and interrupts off.
  ///
  /// Reference: Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol".
  static func longMode(entry: UInt64, argument: UInt64) -> InitialProcessorState {
    InitialProcessorState(
      rip: entry, rsp: MemoryMap.stackTop, rsi: argument, rflags: .fixed,
      cs: flat(Selector.code, attributes: 0xa09b), data: flat(Selector.data, attributes: 0xc093),
      task: SegmentRegister(
        base: 0, limit: 0x67, selector: Selector.task, attributes: .init(rawValue: 0x008b)),
      localTable: SegmentRegister(base: 0, limit: 0, selector: 0, attributes: .init(rawValue: 0)),
      globalDescriptorTable: DescriptorTable(base: MemoryMap.descriptorTable, limit: 6 * 8 - 1),
      interruptDescriptorTable: DescriptorTable(base: 0, limit: 0),
      cr0: [.protection, .extensionType, .numericError, .paging], cr3: MemoryMap.pageTables,
      cr4: .physicalAddressExtension, efer: [.longModeEnable, .longModeActive])
  }

  private static func flat(_ selector: UInt16, attributes: UInt16) -> SegmentRegister {
    SegmentRegister(
      base: 0, limit: .max, selector: selector, attributes: .init(rawValue: attributes))
  }

  /// Writes the tables that the state refers to.
  func writeTables(to memory: GuestMemory) -> Bool {
    var table: [UInt8] = []
    for segment in [nil, nil, cs, data, task] {
      table.append(little: segment.map(Self.descriptor) ?? 0)
    }
    // The upper half of the 64-bit task descriptor.
    table.append(little: UInt64(0))
    return unsafe memory.place(table.span.bytes, at: globalDescriptorTable.base)
      && memory.place(Self.pageTables().span.bytes, at: cr3)
  }

  /// The descriptor in memory from which loading `segment` would give the same hidden part.
  ///
  /// Reference: SDM vol. 3A, section 3.4.5.
  static func descriptor(_ segment: SegmentRegister) -> UInt64 {
    let isGranular = segment.attributes[.granular]
    let limit = UInt64(isGranular ? segment.limit >> 12 : segment.limit)
    let base = segment.base & 0xffff_ffff
    return limit & 0xffff | (base & 0xff_ffff) << 16
      | UInt64(segment.attributes.rawValue) << 40 | (limit >> 16 & 0xf) << 48 | (base >> 24) << 56
  }

  /// One top table, one directory pointer table and four directories of 2 MiB pages.
  ///
  /// Reference: SDM vol. 3A, section 4.5.4.
  private static func pageTables() -> [UInt8] {
    let (table, large): (UInt64, UInt64) = (0x3, 0x83)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(6 * 4096)
    bytes.append(little: (MemoryMap.pageTables + 0x1000) | table)
    bytes.append(contentsOf: repeatElement(0, count: 4096 - 8))
    for index in 0..<UInt64(4) {
      bytes.append(little: (MemoryMap.pageTables + 0x2000 + index << 12) | table)
    }
    bytes.append(contentsOf: repeatElement(0, count: 4096 - 32))
    for page in 0..<UInt64(4 * 512) { bytes.append(little: page << 21 | large) }
    return bytes
  }
}
