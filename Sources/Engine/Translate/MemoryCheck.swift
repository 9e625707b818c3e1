/// What a cold stub emits again on the bounce buffer before it commits the write.
enum ColdBody: BitwiseCopyable {
  case none
  /// The instruction itself.
  case instruction
  /// Any other store, followed by what must come before the commit.
  case store(StackStore)
}

/// What a push-like store puts in memory.
enum StackStore: BitwiseCopyable {
  case general(UInt8)
  case immediate(Int32)
  /// The linear address this far from the page's start: a return address.
  case returnAddress(Int32)
  /// The first spill slot.
  case spill
}

/// Code that runs rarely, emitted apart from the block.
struct ColdStub: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    case access, group, segment, exit, farExit
    /// A branch beyond the code segment's limit: #GP(0).
    case codeLimit
  }

  var kind: Kind
  /// Cache offset of the 32-bit displacement of the jump here.
  var site: UInt32
  /// For an access or a segment check: where the hit path goes on, and where it goes on after a committed write.
  var rejoin: UInt32 = 0
  var resume: UInt32 = 0
  /// For an access: the soft TLB table whose tag R11 has had added; 0 when R11 is the address.
  var tags: Int32 = 0
  var size: UInt16 = 0
  var access: Access = []
  var isStack = false
  /// For a group's check: whether a member writes.
  var isGroupWritten = false
  /// For a segment check: which.
  var segment: UInt8 = 0
  /// For a far exit: whether the instruction goes there, as opposed to going on.
  var isBranch = false
  var body: ColdBody = .none
  var position: Int32 = 0
  /// Offset of the instruction from the page's start.
  var offset: Int32 = 0
  /// For a far exit: the target's.
  var target: Int32 = 0
  /// For an exit: its index in the store.
  var exit: Int32 = 0
}

extension BlockTranslator {
  /// `[R11 + RCX]`: where an access is after a check.
  static let indexed = HostOperand.memory(base: .address, index: .scratch, displacement: 0)
  /// `[R11]`.
  static let direct = HostOperand.memory(base: .address, index: nil, displacement: 0)

  var here: UInt32 { unsafe store.cache.offset(of: writer.cursor) }

  /// Emits the soft-TLB check of the linear address in R11.
  ///
  /// - Parameters:
  ///   - plain: Whether RCX must be free afterwards: the access is then at `[R11]`, else at
  ///     `[R11 + RCX]`.
  ///   - index: The check's stub, whose resume point and body the caller fills in for a write.
  mutating func emitCheck(
    size: Int, _ access: Access, plain: Bool
  ) -> (pointer: HostOperand, stub: Int) {
    groupInScratch = AccessGroups.none
    let write = access.contains(.write)
    let tags = Int32(write ? StateLayout.writeTags(view) : StateLayout.readTags(view))
    var stub = ColdStub(kind: .access, site: 0)
    if flagsAreDead {
      stub.site = emitFastCheck(tags: tags, size: size)
      stub.tags = tags
      let pages = Int32(StateLayout.hostPages(view))
      if plain {
        writer.tableOperation(0x03, HostRegister.address.rawValue, index: .scratch, offset: pages)
      } else {
        writer.tableOperation(0x8b, HostRegister.scratch.rawValue, index: .scratch, offset: pages)
      }
    } else {
      stub.site = emitFlagFreeCheck(tags: tags, size: size)
      let addends = Int32(StateLayout.addends(view))
      writer.tableOperation(0x8b, HostRegister.scratch.rawValue, index: .scratch, offset: addends)
      if plain { writer.add(.address, .address, .scratch, 0) }
    }
    stub.rejoin = here
    stub.size = UInt16(size)
    stub.access = access
    stub.isStack = addressesStack
    let index = addCold(stub)
    return (plain ? Self.direct : Self.indexed, index)
  }

  /// R11 becomes the offset in the page, RCX the index.
  mutating func emitFastCheck(tags: Int32, size: Int) -> UInt32 {
    writer.rotateRight(.scratch, .address, by: 12)
    writer.lowWord(.scratch, of: .scratch)
    writer.tableOperation(0x03, HostRegister.address.rawValue, index: .scratch, offset: tags)
    writer.operation(0x81, 7, .register(HostRegister.address.rawValue))
    writer.word(Int32(4096 - size))
    writer.bytes(0x0f, 0x87)  // ja
    writer.word(0)
    return here - 4
  }

  /// R11 stays the address, RCX becomes the index; the flags stay.
  mutating func emitFlagFreeCheck(tags: Int32, size: Int) -> UInt32 {
    writer.rotateRight(.scratch, .address, by: 12)
    writer.lowWord(.scratch, of: .scratch)
    writer.tableOperation(0x8b, HostRegister.scratch.rawValue, index: .scratch, offset: tags)
    writer.add(.scratch, .scratch, .address, Int32(size - 1))
    writer.extractBits(.scratch, .scratch, mask: .state(StateLayout.run(\.pageMask)))
    writer.bytes(0xe3, 0x05)  // jrcxz over the jump: every bit above the page offset is zero
    writer.byte(0xe9)
    writer.word(0)
    let site = here - 4
    writer.rotateRight(.scratch, .address, by: 12)
    writer.lowWord(.scratch, of: .scratch)
    return site
  }

  /// Notes a stub of the current instruction.
  mutating func addCold(_ stub: ColdStub) -> Int {
    unsafe cold[coldCount] = stub
    unsafe cold[coldCount].offset = Int32(offset)
    unsafe cold[coldCount].position = Int32(position)
    coldCount += 1
    return coldCount - 1
  }

  /// Completes a write's stub: the access is done, and its bounce copy would go on here.
  mutating func finishWrite(_ stub: Int, body: ColdBody) {
    unsafe cold[stub].resume = here
    unsafe cold[stub].body = body
  }

  mutating func emitCall(_ thunk: UInt32) {
    writer.byte(0xe8)
    writer.word(0)
    store.cache.aim(here - 4, at: thunk)
  }

  mutating func emitHostJump(_ target: UInt32) {
    writer.byte(0xe9)
    writer.word(0)
    store.cache.aim(here - 4, at: target)
  }
}

extension BlockTranslator {
  mutating func emitColdStubs() {
    var index = 0
    while index < coldCount {
      let stub = unsafe cold[index]
      store.cache.aim(stub.site, at: here)
      position = Int(stub.position)
      offset = Int(stub.offset)
      switch stub.kind {
      case .access: emitColdAccess(stub)
      case .group: emitColdGroup(stub)
      case .segment: emitColdSegment(stub)
      case .exit: emitColdExit(stub)
      case .farExit: emitFarJump(to: Int64(stub.target), isBranch: stub.isBranch)
      case .codeLimit: emitRaise(.generalProtection)
      }
      index += 1
    }
  }

  private mutating func emitColdAccess(_ stub: ColdStub) {
    if stub.tags != 0 {
      writer.tableOperation(
        0x2b, HostRegister.address.rawValue, index: .scratch, offset: stub.tags)
    }
    let info = AccessSite(
      offset: UInt32(stub.offset), size: UInt32(stub.size), access: stub.access,
      isStack: stub.isStack)
    writer.constant(.scratch, UInt64(info.rawValue))
    emitCall(thunks.access)
    emitHostJump(stub.rejoin)
    guard stub.access.contains(.write) else { return }
    switch stub.body {
    case .none: break
    case .instruction:
      emitBody(pointer: Self.direct)
      emitCommit(canLeave: true)
    case .store(let value):
      emitStore(value, to: Self.direct)
      emitCommit(canLeave: false)
    }
    emitHostJump(stub.resume)
  }

  private mutating func emitColdSegment(_ stub: ColdStub) {
    let info = SegmentSite(
      offset: UInt32(stub.offset), size: UInt32(stub.size), access: stub.access,
      segment: stub.segment)
    writer.constant(.scratch, UInt64(info.rawValue))
    emitCall(thunks.segment)
    emitHostJump(stub.rejoin)
  }

  private mutating func emitCommit(canLeave: Bool) {
    writer.constant(.scratch, UInt64(nextOffset) | (canLeave ? 1 << 16 : 0))
    emitCall(thunks.commit)
  }

  private mutating func emitColdExit(_ stub: ColdStub) {
    store[exit: stub.exit].stub = here
    writer.constant(.scratch, UInt64(UInt32(bitPattern: stub.exit)))
    emitCall(thunks.link)
  }
}

/// What a cold stub tells the access helper, in RCX.
struct AccessSite: BitwiseCopyable {
  var rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }

  init(offset: UInt32, size: UInt32, access: Access, isStack: Bool, isGroupWritten: Bool = false) {
    rawValue =
      offset & 0xfff | size << 12 | UInt32(access.rawValue) << 24 | (isStack ? 1 << 26 : 0)
      | (isGroupWritten ? 1 << 27 : 0)
  }

  /// Where ``size`` is.
  static let sizeMask: UInt64 = 0xfff << 12

  /// Offset of the instruction in the page.
  var offset: UInt64 { UInt64(rawValue & 0xfff) }
  var size: Int { Int(rawValue >> 12 & 0xfff) }
  var access: Access { Access(rawValue: UInt8(rawValue >> 24 & 3)) }
  /// Of a group: whether a member writes, perhaps not the first.
  var isGroupWritten: Bool { rawValue & 1 << 27 != 0 }
  /// Whether the operand is in the stack segment.
  var isStack: Bool { rawValue & 1 << 26 != 0 }
}
