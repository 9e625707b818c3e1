/// What of the processor's mode a translation depends on.
struct BlockMode: OptionSet, BitwiseCopyable, Hashable {
  var rawValue: UInt64
  init(rawValue: UInt64) { self.rawValue = rawValue }

  // Bits 0 and 1: CodeSize. Bits 2 and 3: MemoryView. Bits 16 to 27: ``firstInPage``.
  // Bits 32 to 44: how much ``lastInPage`` is below its greatest value.
  static let userPrivilege = BlockMode(rawValue: 1 << 4)
  /// ES, CS, SS and DS are the whole address space and may be read, and written but for CS: their
  /// accesses need no checks (always so in 64-bit code).
  static let flat = BlockMode(rawValue: 1 << 5)
  /// CR0.TS or CR0.EM: x87 and vector instructions raise #NM.
  static let floatingTrap = BlockMode(rawValue: 1 << 6)
  /// CR4.OSFXSR is clear: SSE raises #UD.
  static let noSSE = BlockMode(rawValue: 1 << 7)
  /// XCR0 does not enable AVX: VEX raises #UD.
  static let noAVX = BlockMode(rawValue: 1 << 8)
  /// One instruction only: single step, or the instruction after STI.
  static let single = BlockMode(rawValue: 1 << 9)

  /// CR4.TSD at CPL 3: RDTSC raises #GP.
  static let timeStampTrap = BlockMode(rawValue: 1 << 10)
  /// CR4.SMAP: EFLAGS.AC selects the supervisor's memory view.
  static let guardsUserPages = BlockMode(rawValue: 1 << 11)

  init(codeSize: CodeSize, view: MemoryView) {
    rawValue = UInt64(codeSize.rawValue) | UInt64(view.rawValue) << 2
  }

  /// EFLAGS.DF: string instructions go down.
  static let backward = BlockMode(rawValue: 1 << 12)
  /// The stack pointer is SP.
  static let smallStack = BlockMode(rawValue: 1 << 13)
  /// The code segment goes beyond 64 KiB: cutting an instruction pointer to 16 bits changes it.
  static let wideCode = BlockMode(rawValue: 1 << 14)

  /// Each access is checked by itself, see ``AccessGroup``.
  static let ungrouped = BlockMode(rawValue: 1 << 15)

  /// The same mode, seeing memory through another view.
  func seeing(_ view: MemoryView) -> BlockMode {
    BlockMode(rawValue: rawValue & ~0xc | UInt64(view.rawValue) << 2)
  }

  var codeSize: CodeSize { CodeSize(rawValue: UInt8(rawValue & 3)) ?? .bits64 }
  var view: MemoryView { MemoryView(rawValue: UInt8(rawValue >> 2 & 3)) ?? .supervisor }
}

/// Where the code segment begins and ends, for blocks in the pages where it does. So a block knows
/// whether its jumps within the page stay in the segment, without knowing the segment's base.
extension BlockMode {
  /// The page's last byte, and those of the next that an instruction may reach.
  private static let greatestLast = 4096 + 14

  /// Offset in the page of the first byte that is in the code segment.
  var firstInPage: Int {
    get { Int(rawValue >> 16 & 0xfff) }
    set { rawValue = rawValue & ~0xfff_0000 | UInt64(newValue & 0xfff) << 16 }
  }

  /// Offset from the page's start of the last byte that is in the code segment.
  var lastInPage: Int {
    get { Self.greatestLast - Int(rawValue >> 32 & 0x1fff) }
    set {
      let missing = Self.greatestLast - min(newValue, Self.greatestLast)
      rawValue = rawValue & 0xffff_ffff | UInt64(missing) << 32
    }
  }
}

/// One translated block: instructions of one guest page, entered at the first.
struct Block: BitwiseCopyable {
  /// Guest-physical address of the first instruction.
  var physical: UInt64
  var mode: BlockMode
  /// Guest bytes covered; may run past the page's end by a part of the last instruction.
  var length: UInt16
  var instructionCount: UInt16
  /// Offset in the code cache of the entry that expects ``CPUState/codePage`` to be right.
  var entry: UInt32
  /// Offset of the entry that sets it from the address in R11.
  var crossPageEntry: UInt32
  var end: UInt32
  /// Where its rarely run parts begin and end.
  var coldStart: UInt32
  var coldEnd: UInt32
  var nextInHash: Int32
  /// The next places in the lists of its first and its second page.
  var nextInPage = Place.none
  var nextInSecondPage = Place.none
  /// Exits of other blocks that jump straight to this one: head of a list through `BlockExit`.
  var incoming: Int32
  /// First entry of the block's side table, see `SideTable`.
  var sideTable: UInt32
  /// Of the guest's bytes.
  var fingerprint: UInt32
  /// Guest-physical page number of the last byte, where that is not the first's page; else 0.
  var secondPage: UInt64
}

/// A block as an element of the list of one of its pages.
struct Place: BitwiseCopyable, Equatable {
  private let rawValue: Int32
  static let none = Place(0, isSecond: false)

  init(_ block: Int32, isSecond: Bool) { rawValue = block << 1 | (isSecond ? 1 : 0) }

  var block: Int32 { rawValue >> 1 }
  var isSecond: Bool { rawValue & 1 != 0 }
}

/// A direct jump out of a block that may be patched to go straight to its target.
struct BlockExit: BitwiseCopyable {
  /// Cache offset of the 32-bit displacement to patch.
  var patch: UInt32
  /// Cache offset of the stub that the unpatched jump goes to.
  var stub: UInt32
  /// Target's offset from the source's page.
  var target: Int32
  /// The block it is patched to, or 0.
  var linked: Int32
  var nextIncoming: Int32
  /// Guest-physical page number of the source, which the target must be in.
  var page: UInt64
  var mode: BlockMode
}
