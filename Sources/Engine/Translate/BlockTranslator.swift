/// Where a block's first instruction is, and what it is translated for.
@safe
struct BlockSource {
  /// Guest-physical address of the first byte.
  var physical: UInt64
  var mode: BlockMode
  /// Bytes of the guest's code from there: to the page's end, or beyond for a straddling one.
  var bytes: UnsafePointer<UInt8>
  var available: Int
  var features: FeatureSet
  /// Guest-physical page number of the bytes beyond the page's end; 0 when there are none.
  var secondPage: UInt64 = 0

  /// Offset of the first byte in its page.
  var offset: Int { Int(physical & 0xfff) }
}

/// What a straight run of guest instructions is turned into host code with.
///
/// Three passes over at most ``limit`` instructions: decode, find which flags are live, emit. The
/// rarely run parts (misses, unlinked jumps) are noted while emitting and go elsewhere in the cache.
@safe
struct BlockTranslator {
  static let limit = 64
  static let coldLimit = 6 * limit
  /// Bytes of guest code that a block can have.
  static let longest = 15 * limit

  var writer: CodeWriter
  let store: BlockStore
  let thunks: Thunks
  let sites: SiteStore
  let source: BlockSource
  /// The decoded instructions, and for each the flags that are live before it.
  let instructions: UnsafeMutablePointer<Instruction>
  let liveFlags: UnsafeMutablePointer<ArithmeticFlags>
  let cold: UnsafeMutablePointer<ColdStub>
  var groups: AccessGroups
  /// The group whose addend RCX has.
  var groupInScratch = AccessGroups.none
  var count = 0
  /// Of a loop that is emitted several times over: instructions of one turn; else 0.
  var turn = 0
  var coldCount = 0
  /// The instruction being emitted.
  var position = 0
  /// Its offset from the start of the page; may pass 4096 in a straddling block only.
  var offset = 0
  /// Set once an instruction has been emitted after which control never comes back.
  var hasEnded = false
  /// Whether the address last computed is in the stack segment, whose faults are #SS.
  var addressesStack = false
  /// Where the next entry of the side table goes.
  var side = 0

  var mode: BlockMode { source.mode }
  var view: MemoryView { source.mode.view }
  var isLong: Bool { source.mode.codeSize == .bits64 }
  var instruction: Instruction { unsafe instructions[position] }
  /// Whether the instruction's own checks may clobber the arithmetic flags.
  var flagsAreDead: Bool { unsafe liveFlags[position].isEmpty }
  /// Outside 64-bit mode: accesses are checked, and instruction pointers are not linear addresses.
  var isSegmented: Bool { !isLong && !mode.contains(.flat) }
  /// Offset of the next instruction from the start of the page.
  var nextOffset: Int { offset + Int(unsafe instructions[position].length) }

  /// Translates and enters the block; `nil` when not even one instruction could be decoded.
  mutating func translate() -> Int32? {
    guard decodeBlock() else { return nil }
    findLiveFlags()
    findAccessGroups()
    let crossPageEntry = unsafe store.cache.offset(of: writer.cursor)
    writer.add(.address, .address, nil, -Int32(source.offset), wide: isLong)
    writer.store(.address, .state(StateLayout.field(\.codePage)))
    let entry = unsafe store.cache.offset(of: writer.cursor)
    side = store.count.side
    emitInstructions()
    if !hasEnded { emitContinuation() }
    let end = here
    store.count.cursor = (end + 15) & ~15
    let coldStart = store.count.coldCursor
    writer = unsafe CodeWriter(at: store.cache.write(at: coldStart))
    emitColdStubs()
    store.count.coldCursor = here
    let block = Block(
      physical: source.physical, mode: mode, length: UInt16(guestLength),
      instructionCount: UInt16(count), entry: entry, crossPageEntry: crossPageEntry, end: end,
      coldStart: coldStart, coldEnd: here, nextInHash: 0, incoming: 0,
      sideTable: UInt32(store.count.side),
      fingerprint: unsafe Block.fingerprint(source.bytes, guestLength),
      secondPage: source.secondPage)
    store.count.side = side
    store.count.translatedInstructions += count
    return store.insert(block)
  }

  private var guestLength: Int {
    var length = 0
    for index in 0..<(turn == 0 ? count : turn) { length += Int(unsafe instructions[index].length) }
    return length
  }

  /// Decodes up to the first instruction that ends a block.
  private mutating func decodeBlock() -> Bool {
    var consumed = 0
    let most = mode.contains(.single) || source.secondPage != 0 ? 1 : Self.limit
    while count < most && consumed < source.available {
      let rest = unsafe UnsafeRawBufferPointer(
        start: source.bytes + consumed, count: source.available - consumed)
      let result = unsafe decode(
        RawSpan(_unsafeBytes: rest), codeSize: mode.codeSize, features: source.features,
        into: &instructions[count])
      guard result == .decoded else { break }
      consumed += Int(unsafe instructions[count].length)
      count += 1
      if unsafe instructions[count - 1].operation.endsBlock { break }
    }
    unrollLoop()
    return count > 0
  }

  private mutating func emitInstructions() {
    offset = source.offset
    for index in 0..<count {
      position = index
      if beginsTurn(index) { offset = source.offset }
      let start = unsafe store.cache.offset(of: writer.cursor)
      emitGroupChecks()
      emitInstruction()
      let bytes = unsafe store.cache.offset(of: writer.cursor) - start
      unsafe store.side[side] = BlockStore.SideEntry(
        hostBytes: UInt16(bytes), guestOffset: UInt16(offset - source.offset))
      side += 1
      offset = nextOffset
    }
  }

  /// Leaves for the instruction after the last.
  private mutating func emitContinuation() {
    emitJump(to: Int64(offset))
  }
}

extension BlockTranslator {
  /// Walks backwards: a flag is live where something reads it before all its writers.
  private func findLiveFlags() {
    var live = ArithmeticFlags.all
    for index in (0..<count).reversed() {
      let instruction = unsafe instructions[index]
      // Whoever leaves the block here may find a reader.
      if instruction.operation.mayLeave { live = .all }
      live.subtract(instruction.flagsWritten)
      live.formUnion(instruction.flagsRead)
      unsafe liveFlags[index] = live
    }
  }
}

extension Operation {
  /// Whether control never goes on to the next instruction within the block.
  var endsBlock: Bool {
    switch self {
    case .undefined, .jump, .jumpIndirect, .call, .callIndirect, .returnNear, .jumpFar, .callFar,
      .returnFar, .interrupt, .interrupt3, .interrupt1, .interruptReturn, .systemCall,
      .systemReturn, .systemEnter, .systemExit, .halt, .setAlignment,
      .clearAlignment, .moveToControl, .invalidatePage, .popFlags, .jumpCounter,
      .writeExtendedControl, .resumeFromManagement, .hypercall:
      true
    default: false
    }
  }

  /// Whether control may leave the block here for a place where any flag may be read.
  var mayLeave: Bool {
    switch self {
    case .plain, .push, .pop, .leave, .moveOffset, .loadAddress, .shiftByCount, .bitString,
      .noOperation, .translateByte, .compareExchangeWide, .compareStringsIndex:
      false
    default: true
    }
  }
}
