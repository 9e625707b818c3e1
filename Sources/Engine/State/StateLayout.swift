/// Where things are in the state block, in bytes from the GS base.
///
/// One mapping per processor holds all that emitted code touches: registers, the engine's own
/// words, the vector save areas, the soft TLBs and the jump caches. Tables are sparse: an entry
/// never touched costs no host memory.
enum StateLayout {
  static let runState = 0x1000
  /// A 64-byte-aligned XSAVE image, standard format.
  static let extendedArea = 0x10000
  /// YMM0…15 during a helper call.
  static let vectorArea = 0x12000
  /// Where accesses go that have no plain host page; aligned as the guest's address is.
  static let bounceBuffer = 0x14000
  static let fetchTLB = 0x50000
  static let jumpFilter = 0x70000
  static let buffers = 0x10_0000
  static let bufferStride = 0x20_0000
  static let jumpCaches = 0x70_0000
  static let jumpCacheStride = 0x10_0000
  /// For each view what has been entered in its TLB, and in its jump cache: a count of each kind,
  /// then the entries of pages that are not global, and those that are.
  static let logs = 0xa0_0000
  static let jumpLogs = 0xe0_0000
  static let logStride = 0x10_0000
  static let globalLog = 0x8_0000
  static let logCapacity = 0x1_f000
  static let size = 0x120_0000

  /// Entries of each TLB and jump cache: indexed by 16 bits, so that MOVZX makes the index.
  static let entries = 0x1_0000

  static func readTags(_ view: MemoryView) -> Int { buffers + bufferStride * Int(view.rawValue) }
  static func writeTags(_ view: MemoryView) -> Int { readTags(view) + entries * 8 }
  static func addends(_ view: MemoryView) -> Int { readTags(view) + entries * 16 }
  static func hostPages(_ view: MemoryView) -> Int { readTags(view) + entries * 24 }
  static func jumpTags(_ view: MemoryView) -> Int {
    jumpCaches + jumpCacheStride * Int(view.rawValue)
  }
  static func jumpTargets(_ view: MemoryView) -> Int { jumpTags(view) + entries * 8 }

  /// The offset of a field of ``CPUState``.
  static func field<Value>(_ path: KeyPath<CPUState, Value>) -> Int32 {
    Int32(MemoryLayout<CPUState>.offset(of: path) ?? 0)
  }

  /// The offset of a field of ``RunState``.
  static func run<Value>(_ path: KeyPath<RunState, Value>) -> Int32 {
    Int32(runState + (MemoryLayout<RunState>.offset(of: path) ?? 0))
  }
}

/// Whose eyes memory is seen with: each view has its own soft TLB and jump cache, so that blocks
/// carry their table's address and a privilege change costs nothing.
enum MemoryView: UInt8, BitwiseCopyable, CaseIterable {
  case user
  case supervisor
  /// Supervisor with EFLAGS.AC set (or SMAP off): user pages may be touched.
  case supervisorAllowingUser
}

/// The engine's own words in the state block; the guest cannot see them.
struct RunState: BitwiseCopyable {
  /// Every bit above the page offset, for PEXT.
  var pageMask: UInt64 = ~0xfff
  /// Every bit but RFLAGS.IF, and every bit but RFLAGS.AC.
  var interruptMask: UInt64 = ~0x200
  var alignmentMask: UInt64 = ~0x4_0000
  var bitOffsetMask: UInt64 = 63
  var bitOffsetMask32: UInt64 = 31
  var bitOffsetMask16: UInt64 = 15
  var signMask: UInt64 = 1 << 63
  /// Host stack pointer at entry to translated code.
  var hostStack: UInt64 = 0
  /// Stack pointer of translated code: it has a stack of its own, see `ReturnStack`.
  var returnStack: UInt64 = 0
  /// ``returnStack`` when it is empty.
  var returnStackTop: UInt64 = 0
  /// The address bit that is set when it is nearly full.
  var returnStackMask: UInt64 = ReturnStack.fullMask
  /// Where a thunk goes on.
  var continuation: UInt64 = 0
  /// A pointer that a helper found, for R11.
  var pointer: UInt64 = 0
  var spill: InlineArray<4, UInt64> = .init(repeating: 0)
  /// By ``AccessGroup`` of the running block: what to add to a linear address of its page.
  var groupAddends: InlineArray<16, UInt64> = .init(repeating: 0)
  /// What a group's check that failed was called with, and where the size is in it.
  var groupSite: UInt64 = 0
  var groupAddress: UInt64 = 0
  var siteSizeMask: UInt64 = AccessSite.sizeMask
  /// For a profile: the ``Profile/Activity`` of the moment, and how often each began.
  var activity: UInt64 = 0
  var helperCalls: InlineArray<16, UInt64> = .init(repeating: 0)
  /// Not zero: the next block does without groups.
  var wantsUngrouped: UInt32 = 0
  /// The ``Processor``, unmanaged.
  var processor: UInt64 = 0
  /// Host and guest MXCSR and x87 control words across entry and exit.
  var hostMXCSR: UInt32 = 0x1f80
  var hostControlWord: UInt32 = 0x37f
  /// The guest's MXCSR during a helper call.
  var guestMXCSR: UInt32 = 0x1f80
  /// The write waiting in the bounce buffer.
  var bounceLinear: UInt64 = 0
  /// Offset in its page of the instruction that uses the bounce buffer.
  var bounceOffset: UInt64 = 0
  var bounceSize: UInt64 = 0
  /// Host address of the bounced bytes.
  var bouncePointer: UInt64 = 0
  /// Where the write goes that is to be committed, in a page with translated code, or ``buffered``.
  var bouncePhysical: UInt64 = RunState.buffered
  static let buffered = UInt64.max
  /// Guest-physical bytes written that other processors may have translated: from, to.
  var foreignCodeFrom: UInt64 = .max
  var foreignCodeTo: UInt64 = 0
  /// Not zero while a locked instruction has the other processors stand still.
  var isLocked: UInt32 = 0
  /// PAUSE instructions until the thread lets others run.
  var pausesLeft: UInt32 = RunState.pausesPerTurn
  static let pausesPerTurn: UInt32 = 1000
  /// Interrupts that arrived while they were disabled: STI looks here.
  var deferred: UInt32 = 0
  /// Set when a write has dropped translated blocks.
  var codeWriteSeen: UInt32 = 0
  /// The ``StopReason`` of leaving.
  var stopReason: UInt64 = 0
  /// Not zero while one instruction runs alone to be followed by a trap: bit 0 for a ``DebugPlan``,
  /// bit 1 because RFLAGS.TF was set before it.
  var isStepping: UInt32 = 0
  static let guestStep: UInt32 = 2
  /// Not zero while the guest's x87 registers are the host's and its vectors in the vector area,
  /// in a helper that keeps no complete image.
  var hasLiveVectors: UInt32 = 0
  /// Not zero while the instruction that runs has a block of its own, so that what it asks of a
  /// device, which may take the processor out of the run, ends in the dispatcher.
  var isAlone: UInt32 = 0
  /// Not zero: the next instruction is to run alone.
  var wantsAlone: UInt32 = 0
  /// Which of DR0 to DR3 are breakpoints of each kind, a bit each.
  var executionBreakpoints: UInt32 = 0
  var dataBreakpoints: UInt32 = 0
  var portBreakpoints: UInt32 = 0
  /// Those that the instruction has met.
  var debugHits: UInt32 = 0
  /// Not zero: each instruction ends the run.
  var debugSteps: UInt32 = 0
  /// The guest's time-stamp counter per tick of the host's, times 2^48.
  var timeStampScale: UInt64 = 1 << 48
  /// By ``MemoryView``: the ``BlockMode`` whose blocks its jump cache leads to.
  var jumpCacheModes: InlineArray<4, UInt64> = .init(repeating: 0)
  /// And where the code segment was that its entries are of, see `Processor.codePlace`.
  var jumpCachePlaces: InlineArray<4, UInt64> = .init(repeating: 0)
  /// What segments allow outside 64-bit mode, see `SegmentBounds`.
  var bounds = SegmentBounds()
}
