/// What a helper is called with: the processor, what the call site says of itself, the linear
/// address it computed, and where it would go on. Returns the host address to go on at.
typealias Helper = @convention(c) (UInt64, UInt64, UInt64, UInt64) -> UInt64

/// Emitted routines shared by all blocks: the way in, the way out, and the ways to Swift.
///
/// A helper thunk is called with its arguments in RCX and R11. It writes the guest's registers to
/// the state block, calls the helper, reloads the registers, which the helper may have changed, and
/// jumps to where the helper says, with the pointer that the helper found in R11 and RCX zero.
struct Thunks: BitwiseCopyable {
  /// All are offsets in the code cache.
  var enter: UInt32 = 0
  var leave: UInt32 = 0
  var access: UInt32 = 0
  var group: UInt32 = 0
  var segment: UInt32 = 0
  var commit: UInt32 = 0
  var system: UInt32 = 0
  var systemExtended: UInt32 = 0
  var link: UInt32 = 0
  var find: UInt32 = 0
  /// As `find`, but jumped to.
  var findByJump: UInt32 = 0
  var attention: UInt32 = 0
  var raise: UInt32 = 0
  var hostFault: UInt32 = 0
  /// Where a run begins, and where it goes on when a helper met memory that it cannot reach.
  var begin: UInt32 = 0
  var recover: UInt32 = 0
  /// Where a return from the empty return stack goes.
  var emptyReturn: UInt32 = 0
  var strings = StringRoutines()
  var stacks = StackRoutines()

  /// Emits all thunks at the start of the store's cache.
  ///
  /// - Parameter isProfiled: Whether helpers note that they run.
  init(into store: BlockStore, isProfiled: Bool = false) {
    var maker = ThunkMaker(store, isProfiled: isProfiled)
    enter = maker.start()
    Self.emitEnter(&maker.writer)
    leave = maker.start()
    Self.emitLeave(&maker.writer)
    access = maker.thunk(helperAccess, .access)
    group = maker.start()
    Self.emitGroupMiss(&maker.writer)
    _ = maker.thunk(helperGroup, .group)
    segment = maker.thunk(helperSegment, .segment)
    commit = maker.thunk(helperCommit, .commit)
    system = maker.thunk(helperSystem, .system)
    systemExtended = maker.thunk(helperSystem, .system, extended: true)
    link = maker.thunk(helperLink, .link)
    find = maker.thunk(helperFind, .find)
    findByJump = maker.thunk(helperFind, .find, called: false)
    attention = maker.thunk(helperAttention, .attention)
    raise = maker.thunk(helperRaise, .raise)
    // The signal handler jumps here: there is no return address to pop.
    hostFault = maker.thunk(helperHostFault, .hostFault, called: false)
    begin = maker.thunk(helperBegin, .begin, called: false)
    recover = maker.start()
    Self.emitRecover(&maker.writer)
    Self.emitLeave(&maker.writer)
    emptyReturn = maker.start()
    maker.emitEmptyReturn(find: findByJump)
    strings = StringRoutines(into: store, writer: &maker.writer, slow: system, fault: hostFault)
    stacks = StackRoutines(into: store, writer: &maker.writer)
    let end = maker.start()
    store.count.cursor = end
    store.count.firstFree = end
  }

  /// `enter(state, target)`, a C function: runs translated code until a helper asks to leave.
  private static func emitEnter(_ writer: inout CodeWriter) {
    writer.bytes(0x55, 0x53)  // push rbp, rbx
    for register in UInt8(4)..<8 { writer.bytes(0x41, 0x50 | register) }  // push r12…r15
    writer.bytes(0x48, 0x83)
    writer.bytes(0xec, 0x08)  // sub rsp, 8: calls find the stack aligned
    writer.bytes(0xf3, 0x48, 0x0f)
    writer.bytes(0xae, 0xdf)  // wrgsbase rdi
    writer.store(.rsp, .state(StateLayout.run(\.hostStack)))
    storeControlStatus(StateLayout.run(\.hostMXCSR), &writer)
    writer.bytes(0x65, 0xd9)  // fnstcw
    writer.modRM(7, .state(StateLayout.run(\.hostControlWord)))
    writer.load(.rsp, .state(StateLayout.run(\.returnStack)))
    writer.store(.rsi, .state(StateLayout.run(\.continuation)))
    writer.extendedState(5)
    writer.load(.address, .state(StateLayout.run(\.pointer)))
    writer.restoreGuestRegisters()
    writer.operation(0xff, 4, .state(StateLayout.run(\.continuation)), wide: false)
  }

  /// Returns from `enter`; the guest's registers are in the state block already.
  private static func emitLeave(_ writer: inout CodeWriter) {
    writer.extendedState(4)
    writer.bytes(0xdb, 0xe3)  // fninit: the host expects an empty x87 stack
    writer.bytes(0x65, 0xd9)  // fldcw
    writer.modRM(5, .state(StateLayout.run(\.hostControlWord)))
    loadControlStatus(StateLayout.run(\.hostMXCSR), &writer)
    writer.bytes(0xc5, 0xf8, 0x77)  // vzeroupper
    writer.load(.rsp, .state(StateLayout.run(\.hostStack)))
    writer.bytes(0x48, 0x83)
    writer.bytes(0xc4, 0x08)  // add rsp, 8
    for register in (UInt8(4)..<8).reversed() { writer.bytes(0x41, 0x58 | register) }
    writer.bytes(0x5b, 0x5d, 0xc3)  // pop rbx, rbp; ret
  }

  private static func storeControlStatus(_ field: Int32, _ writer: inout CodeWriter) {
    writer.bytes(0x65, 0x0f, 0xae)  // stmxcsr
    writer.modRM(3, .state(field))
  }

  private static func loadControlStatus(_ field: Int32, _ writer: inout CodeWriter) {
    writer.bytes(0x65, 0x0f, 0xae)  // ldmxcsr
    writer.modRM(2, .state(field))
  }

  private static func setLiveVectors(_ value: Int32, _ writer: inout CodeWriter) {
    writer.operation(0xc7, 0, .state(StateLayout.run(\.hasLiveVectors)), wide: false)
    writer.word(value)
  }

  /// Leaves a helper in the middle, with the guest's registers as the helper found them.
  private static func emitRecover(_ writer: inout CodeWriter) {
    writer.load(.rsp, .state(StateLayout.run(\.hostStack)))
    writer.load(.scratch, .state(StateLayout.run(\.hasLiveVectors)), wide: false)
    writer.operation(0x85, HostRegister.scratch.rawValue, .register(HostRegister.scratch.rawValue))
    writer.bytes(0x0f, 0x84)  // jz
    writer.word(0)
    let site = unsafe writer.cursor
    loadControlStatus(StateLayout.run(\.guestMXCSR), &writer)
    writer.restoreVectors()
    writer.byte(0xeb)  // jmp
    writer.byte(0)
    let end = unsafe writer.cursor
    unsafe UnsafeMutableRawPointer(site - 4).storeBytes(of: Int32(end - site), as: Int32.self)
    writer.extendedState(5)
    unsafe (end - 1).pointee = UInt8(writer.cursor - end)
    setLiveVectors(0, &writer)
    writer.constant(.rax, UInt64(StopReason.badMemory.rawValue))
    writer.store(.rax, .state(StateLayout.run(\.stopReason)))
  }

  fileprivate static func emitHelper(
    _ helper: Helper, _ activity: Profile.Activity?, _ writer: inout CodeWriter,
    extended: Bool = false, called: Bool = true
  ) {
    let continuation = HostOperand.state(StateLayout.run(\.continuation))
    writer.saveGuestRegisters()
    if called {
      writer.byte(0x65)
      writer.byte(0x8f)  // pop gs:continuation
      writer.modRM(0, continuation)
    }
    if let activity { emitActivity(activity, &writer) }
    writer.store(.rsp, .state(StateLayout.run(\.returnStack)))
    writer.load(.rsp, .state(StateLayout.run(\.hostStack)))
    if extended {
      writer.extendedState(4)
    } else {
      writer.saveVectors()
      storeControlStatus(StateLayout.run(\.guestMXCSR), &writer)
      setLiveVectors(1, &writer)
    }
    // The guest's may raise exceptions for what Swift code does with numbers.
    loadControlStatus(StateLayout.run(\.hostMXCSR), &writer)
    writer.move(.rsi, .rcx)
    writer.move(.rdx, .r11)
    writer.load(.rcx, continuation)
    writer.load(.rdi, .state(StateLayout.run(\.processor)))
    writer.constant(.rax, UInt64(UInt(bitPattern: unsafe unsafeBitCast(helper, to: Int.self))))
    writer.bytes(0xff, 0xd0)  // call rax
    writer.store(.rax, continuation)
    if activity != nil { emitActivity(.code, &writer) }
    writer.load(.rsp, .state(StateLayout.run(\.returnStack)))
    if extended {
      writer.extendedState(5)
    } else {
      loadControlStatus(StateLayout.run(\.guestMXCSR), &writer)
      writer.restoreVectors()
      setLiveVectors(0, &writer)
    }
    writer.load(.r11, .state(StateLayout.run(\.pointer)))
    writer.constant(.rcx, 0)
    writer.restoreGuestRegisters()
    writer.operation(0xff, 4, continuation, wide: false)  // jmp gs:continuation
  }
}

/// Writes thunks one behind the other.
private struct ThunkMaker {
  var writer: CodeWriter
  private let store: BlockStore
  private let isProfiled: Bool

  init(_ store: BlockStore, isProfiled: Bool) {
    self.store = store
    self.isProfiled = isProfiled
    writer = unsafe CodeWriter(at: store.cache.write(at: 0))
  }

  /// Where the next one begins.
  mutating func start() -> UInt32 {
    writer.align(to: 16)
    return unsafe store.cache.offset(of: writer.cursor)
  }

  mutating func thunk(
    _ helper: Helper, _ activity: Profile.Activity, extended: Bool = false, called: Bool = true
  ) -> UInt32 {
    let entry = start()
    let counted = isProfiled ? activity : nil
    Thunks.emitHelper(helper, counted, &writer, extended: extended, called: called)
    return entry
  }

  mutating func emitEmptyReturn(find: UInt32) {
    writer.load(.rsp, .state(StateLayout.run(\.returnStackTop)))
    writer.byte(0xe9)
    let next = unsafe store.cache.offset(of: writer.cursor) + 4
    writer.word(Int32(bitPattern: find &- next))
  }
}
