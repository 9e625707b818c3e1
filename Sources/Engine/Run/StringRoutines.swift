/// Emitted routines for forward REP MOVS and REP STOS in 64-bit code, one for each memory view,
/// kind and element size.
///
/// Each turn of a routine's loop does as much as fits in the current page of the source and of the
/// destination, with the host's own instruction. Like a helper thunk, a routine is called with the
/// site's index in RCX; when a page misses the soft TLB, an element straddles pages, or attention
/// is wanted, it goes on in the system thunk, which finds the registers as far as they got.
struct StringRoutines: BitwiseCopyable {
  /// Offsets in the code cache, by `index`.
  private var entries: InlineArray<24, UInt32> = .init(repeating: 0)

  private var start: UInt32 = 0
  /// The way out for routines that meet memory which cannot be reached; behind them.
  private(set) var fault: UInt32 = 0

  init() {}

  init(into store: BlockStore, writer: inout CodeWriter, slow: UInt32, fault hostFault: UInt32) {
    for view in MemoryView.allCases {
      for isMove in [false, true] {
        for shift in UInt8(0)..<4 {
          writer.align(to: 16)
          entries[Self.index(view, isMove, shift)] = unsafe store.cache.offset(of: writer.cursor)
          var routine = StringRoutine(
            writer: writer, store: store, view: view, isMove: isMove, shift: shift)
          routine.emit(slow: slow)
          writer = routine.writer
        }
      }
    }
    start = entries[0]
    fault = unsafe store.cache.offset(of: writer.cursor)
    StringRoutine.emitFault(&writer, store, hostFault)
  }

  /// Where in the code cache the routines are.
  var range: Range<UInt32> { start..<fault }

  /// What the routine at an offset in the code cache does: log2 of its element's size, and whether
  /// it moves.
  func kind(at offset: UInt32) -> (shift: UInt64, isMove: Bool)? {
    guard range.contains(offset) else { return nil }
    let index = (0..<24).last { entries[$0] <= offset } ?? 0
    return (UInt64(index & 3), index & 4 != 0)
  }

  private static func index(_ view: MemoryView, _ isMove: Bool, _ shift: UInt8) -> Int {
    Int(view.rawValue) * 8 + (isMove ? 4 : 0) + Int(shift)
  }

  func entry(_ view: MemoryView, isMove: Bool, size: Int) -> UInt32 {
    entries[Self.index(view, isMove, UInt8(size.trailingZeroBitCount))]
  }
}

/// The emission of one routine. RAX and the flags are saved first, so they are free.
private struct StringRoutine {
  var writer: CodeWriter
  let store: BlockStore
  let view: MemoryView
  let isMove: Bool
  /// log2 of the element's size.
  let shift: UInt8
  /// Displacements of jumps to the slow path.
  private var toSlow: [UInt32] = []

  init(writer: CodeWriter, store: BlockStore, view: MemoryView, isMove: Bool, shift: UInt8) {
    (self.writer, self.store, self.view) = (writer, store, view)
    (self.isMove, self.shift) = (isMove, shift)
  }

  private static func spill(_ index: Int32) -> HostOperand {
    .state(StateLayout.run(\.spill) + 8 * index)
  }

  private var here: UInt32 { unsafe store.cache.offset(of: writer.cursor) }

  mutating func emit(slow: UInt32) {
    writer.store(.rax, Self.spill(0))
    writer.bytes(0x9f, 0x0f)  // lahf
    writer.bytes(0x90, 0xc0)  // seto al
    writer.store(.rax, Self.spill(1))
    writer.store(.scratch, Self.spill(2))
    let loop = here
    writer.operation(0x85, HostRegister.r10.rawValue, .register(HostRegister.r10.rawValue))
    let done = jump(0x84)  // jz
    writer.operation(0x81, 7, .state(StateLayout.field(\.attention)), wide: false)
    writer.word(0)
    toSlow.append(jump(0x85))  // jnz
    emitPiece()
    writer.byte(0xe9)
    writer.word(0)
    store.cache.aim(here - 4, at: loop)
    store.cache.aim(done, at: here)
    restore()
    writer.byte(0xc3)  // ret
    for site in toSlow { store.cache.aim(site, at: here) }
    restore()
    writer.load(.scratch, Self.spill(2))
    writer.byte(0xe9)
    writer.word(0)
    store.cache.aim(here - 4, at: slow)
  }

  private mutating func restore() { Self.restore(&writer) }

  private static func restore(_ writer: inout CodeWriter) {
    writer.load(.rax, spill(1))
    writer.bytes(0x04, 0x7f)  // add al, 127
    writer.byte(0x9e)  // sahf
    writer.load(.rax, spill(0))
  }

  /// Puts the guest's registers back while the transfer has pointers in them.
  static func emitFault(_ writer: inout CodeWriter, _ store: BlockStore, _ hostFault: UInt32) {
    writer.load(.rdi, CodeWriter.slot(7))
    writer.load(.rsi, CodeWriter.slot(6))
    restore(&writer)
    writer.byte(0xe9)
    writer.word(0)
    store.cache.aim(unsafe store.cache.offset(of: writer.cursor) - 4, at: hostFault)
  }

  /// Moves or stores what the pages allow, at least one element, or takes the slow path.
  private mutating func emitPiece() {
    // RAX: elements to the end of the destination's page, then the least of all limits.
    emitPage(of: .rdi, tags: Int32(StateLayout.writeTags(view)))
    writer.move(.rax, .scratch)
    if isMove {
      writer.store(.address, Self.spill(3))
      emitPage(of: .rsi, tags: Int32(StateLayout.readTags(view)))
      least(.scratch)
    }
    writer.bytes(0x48, 0xc1)  // shr rax, shift
    writer.bytes(0xe8, shift)
    // A shift by nothing sets no flags.
    writer.operation(0x85, HostRegister.rax.rawValue, .register(HostRegister.rax.rawValue))
    toSlow.append(jump(0x84))  // jz: the next element straddles
    least(.r10)
    emitTransfer()
  }

  /// R11 becomes the host address of the guest address in `pointer`, RCX the bytes to its page's
  /// end.
  private mutating func emitPage(of pointer: HostRegister, tags: Int32) {
    writer.move(.address, pointer)
    writer.rotateRight(.scratch, .address, by: 12)
    writer.lowWord(.scratch, of: .scratch)
    writer.tableOperation(0x03, HostRegister.address.rawValue, index: .scratch, offset: tags)
    writer.operation(0x81, 7, .register(HostRegister.address.rawValue))
    writer.word(4096)
    toSlow.append(jump(0x83))  // jae: a miss
    writer.tableOperation(
      0x03, HostRegister.address.rawValue, index: .scratch,
      offset: Int32(StateLayout.hostPages(view)))
    writer.move(.scratch, .address)
    writer.bytes(0x48, 0xf7, 0xd9)  // neg rcx: pages start at multiples of 4096
    writer.operation(0x81, 4, .register(HostRegister.scratch.rawValue))
    writer.word(4095)
    // At a page's start the negation gives 0, which stands for the whole page.
    writer.operation(0x85, HostRegister.scratch.rawValue, .register(HostRegister.scratch.rawValue))
    writer.bytes(0x75, 0x05)  // jnz over the constant
    writer.constant(.scratch, 4096)
  }

  /// RAX becomes the lesser of itself and `other`, unsigned.
  private mutating func least(_ other: HostRegister) {
    writer.operation(0x39, other.rawValue, .register(HostRegister.rax.rawValue))  // cmp rax, other
    writer.bytes(0x48 | other.rawValue >> 3, 0x0f, 0x47)  // cmova rax, other
    writer.modRM(HostRegister.rax.rawValue, .register(other.rawValue))
  }

  /// Runs the host's instruction on RAX elements, and advances the guest's registers.
  private mutating func emitTransfer() {
    writer.move(.scratch, .rax)
    writer.operation(0x29, HostRegister.rax.rawValue, .register(HostRegister.r10.rawValue))
    writer.bytes(0x48, 0xc1)  // shl rax, shift: bytes
    writer.bytes(0xe0, shift)
    // While the host's RDI and RSI are pointers, the guest's wait in their slots, advanced.
    advance(.rdi, slot: 7)
    if isMove {
      advance(.rsi, slot: 6)
      writer.move(.rsi, .address)
      writer.load(.rdi, Self.spill(3))
    } else {
      writer.store(.rsi, CodeWriter.slot(6))
      writer.move(.rdi, .address)
      writer.load(.rax, Self.spill(0))
    }
    if shift == 1 { writer.byte(0x66) }
    writer.byte(0xf3)
    if shift == 3 { writer.byte(0x48) }
    writer.byte((isMove ? 0xa4 : 0xaa) | (shift == 0 ? 0 : 1))
    writer.load(.rdi, CodeWriter.slot(7))
    if isMove { writer.load(.rsi, CodeWriter.slot(6)) }
  }

  private mutating func advance(_ register: HostRegister, slot: UInt8) {
    writer.operation(0x01, HostRegister.rax.rawValue, .register(register.rawValue))
    writer.store(register, CodeWriter.slot(slot))
  }

  /// A conditional jump yet to be aimed; returns its displacement's place.
  private mutating func jump(_ opcode: UInt8) -> UInt32 {
    writer.bytes(0x0f, opcode)
    writer.word(0)
    return here - 4
  }
}
