internal import X86

/// The operands of a string instruction, as far as they stay the same while it repeats.
struct StringPlan: BitwiseCopyable {
  /// Bytes of one element.
  var size: Int
  /// Of rSI, rDI and rCX.
  var width: UInt8
  var isDescending: Bool
  /// Of the source.
  var segment: UInt8
  var usesSource: Bool
  var usesTarget: Bool
  var writesTarget: Bool
}

/// Elements of one piece, and where it is: the lowest address, whatever the direction.
private struct StringPiece: BitwiseCopyable {
  var count: Int
  var source: LinearWindow?
  var target: LinearWindow?
}

/// MOVS, STOS, LODS, SCAS and CMPS, with and without a repeat prefix: complete, in pieces that end
/// with pages. Registers advance after each piece, so a fault or a wish for attention between two
/// leaves an instruction that continues when it is run again.
extension Processor {
  package func executeString(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    let isPlain = isPlainString(instruction)
    let size = instruction.opcode & 1 == 0 ? 1 : Int(instruction.operandSize)
    let operation = instruction.operation
    guard instruction.isRepeated else {
      if isPlain && plainPiece(operation, size: size, left: 1) == 1 { return .next }
      _ = try runPiece(instruction, stringPlan(instruction), limit: 1)
      return .next
    }
    let width = instruction.addressSize
    while true {
      let left = register(1, size: width)
      if left == 0 { return .next }
      var done = isPlain ? plainPiece(operation, size: size, left: left) : 0
      var isOver = false
      if done == 0 {
        let limit = run.isStepping != 0 || cpu.hasFlag(.trap) ? 1 : Int(min(left, 4096))
        (done, isOver) = try runPiece(instruction, stringPlan(instruction), limit: limit)
      }
      setRegister(1, size: width, left &- UInt64(done))
      if isOver || left == UInt64(done) { return .next }
      if mustPause { return .jumped }
    }
  }

  private func stringPlan(_ instruction: borrowing Instruction) -> StringPlan {
    let operation = instruction.operation
    return StringPlan(
      size: instruction.opcode & 1 == 0 ? 1 : Int(instruction.operandSize),
      width: instruction.addressSize, isDescending: cpu.hasFlag(.direction),
      segment: instruction.segment,
      usesSource: operation == .moveString || operation == .loadString
        || operation == .compareString,
      usesTarget: operation != .loadString,
      writesTarget: operation == .moveString || operation == .storeString)
  }

  /// Does up to `limit` elements and moves rSI and rDI past them; the flag says that a comparison
  /// has ended the instruction.
  private func runPiece(
    _ instruction: borrowing Instruction, _ plan: StringPlan, limit: Int
  ) throws(GuestFault) -> (done: Int, isOver: Bool) {
    let piece = try stringPiece(plan, limit: limit)
    var done = piece.count
    var isOver = false
    switch instruction.operation {
    case .moveString:
      if isFromDevice(piece) { try moveFromDevice(piece, plan) } else { moveElements(piece, plan) }
    case .storeString: storeElements(piece, plan)
    case .loadString: loadElement(piece, plan)
    default:
      let stopsOnEqual: Bool? =
        !instruction.isRepeated
        ? nil : instruction.prefixes.contains(.repeatNotEqual)
      (done, isOver) = compareElements(piece, plan, stopsOnEqual: stopsOnEqual)
    }
    let distance = UInt64(done * plan.size)
    let step = plan.isDescending ? 0 &- distance : distance
    if plan.usesSource { setRegister(6, size: plan.width, register(6, size: plan.width) &+ step) }
    if plan.usesTarget { setRegister(7, size: plan.width, register(7, size: plan.width) &+ step) }
    return (done, isOver)
  }

  /// As many elements as lie in one page at either end; a single one where it crosses a boundary.
  private func stringPiece(_ plan: StringPlan, limit: Int) throws(GuestFault) -> StringPiece {
    var count = limit
    if plan.usesSource { count = min(count, elementsInPage(6, plan.segment, plan)) }
    if plan.usesTarget { count = min(count, elementsInPage(7, 0, plan)) }
    count = max(count, 1)
    if count > 1 && !fitsSegments(plan, count) { count = 1 }
    var piece = StringPiece(count: count, source: nil, target: nil)
    do throws(GuestFault) {
      if plan.usesTarget && !plan.writesTarget {
        piece.target = try stringWindow(7, 0, plan, count, .read)
      }
      if plan.usesSource {
        piece.source = try stringWindow(6, plan.segment, plan, count, .read)
      }
      if plan.writesTarget {
        piece.target = try stringWindow(7, 0, plan, count, .write)
      }
    } catch {
      // Downwards, the fault must name the first element, which is the piece's last.
      if plan.isDescending && count > 1 { return try stringPiece(plan, limit: 1) }
      throw error
    }
    return isPlain(piece) ? piece : try onlyOne(piece, plan)
  }

  /// Whether all of a piece is memory, so that elements need not be told apart.
  private func isPlain(_ piece: StringPiece) -> Bool {
    if piece.count == 1 { return true }
    if let source = piece.source, unsafe source.first.host == nil { return false }
    if let target = piece.target, unsafe target.first.host == nil { return false }
    return true
  }

  /// The first element alone of a piece that touches a device.
  private func onlyOne(
    _ piece: StringPiece, _ plan: StringPlan
  ) throws(GuestFault) -> StringPiece {
    try stringPiece(plan, limit: 1)
  }

  /// How many elements from the current one on are in its page, and before the offset wraps.
  private func elementsInPage(_ index: UInt8, _ segment: UInt8, _ plan: StringPlan) -> Int {
    let offset = register(index, size: plan.width)
    let isFlat = cpu.is64Bit && segment < SegmentName.fs.rawValue
    let base = isFlat ? 0 : cpu.segments[Int(segment & 7)].base
    let place = Int((base &+ offset) & 0xfff)
    if plan.isDescending {
      guard place + plan.size <= 0x1000 else { return 1 }
      let below = offset / UInt64(plan.size)
      return min(place / plan.size, Int(min(below, 4096))) + 1
    }
    let above = (mask(bytes: plan.width) &- offset) / UInt64(plan.size)
    return min((0x1000 - place) / plan.size, Int(min(above, 4096)))
  }

  /// The offset of a piece's lowest byte.
  private func lowest(_ index: UInt8, _ plan: StringPlan, _ count: Int) -> UInt64 {
    let offset = register(index, size: plan.width)
    return plan.isDescending ? offset &- UInt64((count - 1) * plan.size) : offset
  }

  private func fitsSegments(_ plan: StringPlan, _ count: Int) -> Bool {
    if cpu.is64Bit { return true }
    let last = UInt64(count * plan.size - 1)
    if plan.usesSource {
      let register = cpu.segments[Int(plan.segment & 7)]
      guard register.allows(lowest(6, plan, count), last: last) else { return false }
    }
    return !plan.usesTarget || cpu[.es].allows(lowest(7, plan, count), last: last)
  }

  private func stringWindow(
    _ index: UInt8, _ segment: UInt8, _ plan: StringPlan, _ count: Int, _ access: Access
  ) throws(GuestFault) -> LinearWindow {
    let bytes = count * plan.size
    let linear = try linearAddress(
      segment: segment, offset: lowest(index, plan, count), size: bytes, for: access)
    return try window(linear, bytes, as: access == .read ? dataRead : dataWrite)
  }
}

/// What is done with a piece.
extension Processor {
  private func isFromDevice(_ piece: StringPiece) -> Bool {
    guard let source = piece.source else { return false }
    return unsafe source.first.host == nil || (source.second.count > 0 && source.second.host == nil)
  }

  /// One element. The target is looked up again: memory may change while a device is asked.
  private func moveFromDevice(_ piece: StringPiece, _ plan: StringPlan) throws(GuestFault) {
    guard let source = piece.source else { return }
    let value = readValue(source)
    writeValue(value, to: try stringWindow(7, 0, plan, 1, .write))
  }

  private func moveElements(_ piece: StringPiece, _ plan: StringPlan) {
    guard let source = piece.source, let target = piece.target else { return }
    guard piece.count > 1, let from = unsafe source.first.host, let to = unsafe target.first.host
    else {
      writeValue(readValue(source), to: target)
      return
    }
    let bytes = piece.count * plan.size
    // Where the target overlaps the part of the source that is yet to be read, what has been
    // written is read again: the pattern repeats, and no block move will do.
    let distance = unsafe plan.isDescending ? from - to : to - from
    if distance > 0 && distance < bytes {
      unsafe repeatElements(from, to, plan, piece.count)
    } else {
      unsafe to.copyMemory(from: from, byteCount: bytes)
    }
    noteWrite(target.first, at: 0, bytes)
  }

  private func repeatElements(
    _ from: UnsafeMutableRawPointer, _ to: UnsafeMutableRawPointer, _ plan: StringPlan, _ count: Int
  ) {
    for step in 0..<count {
      let offset = (plan.isDescending ? count - 1 - step : step) * plan.size
      unsafe store(load(from + offset, plan.size), to + offset, plan.size)
    }
  }

  private func storeElements(_ piece: StringPiece, _ plan: StringPlan) {
    guard let target = piece.target else { return }
    guard piece.count > 1, let to = unsafe target.first.host else {
      writeValue(cpu.registers[0], to: target)
      return
    }
    let value = cpu.registers[0]
    if plan.size == 1 {
      unsafe to.initializeMemory(
        as: UInt8.self, repeating: UInt8(truncatingIfNeeded: value), count: piece.count)
    } else {
      for index in 0..<piece.count { unsafe store(value, to + index * plan.size, plan.size) }
    }
    noteWrite(target.first, at: 0, piece.count * plan.size)
  }

  /// LODS: of a piece, the element that would be loaded last.
  private func loadElement(_ piece: StringPiece, _ plan: StringPlan) {
    guard let source = piece.source else { return }
    let size = UInt8(plan.size)
    guard piece.count > 1, let from = unsafe source.first.host else {
      setRegister(0, size: size, readValue(source))
      return
    }
    let last = plan.isDescending ? 0 : (piece.count - 1) * plan.size
    setRegister(0, size: size, unsafe load(from + last, plan.size))
  }

  /// SCAS and CMPS: sets the flags of the last comparison; `stopsOnEqual` is what ends the repeats.
  private func compareElements(
    _ piece: StringPiece, _ plan: StringPlan, stopsOnEqual: Bool?
  ) -> (done: Int, isOver: Bool) {
    guard let target = piece.target else { return (1, true) }
    let bits = mask(bytes: UInt8(plan.size))
    var (left, right) = (cpu.registers[0] & bits, UInt64(0))
    var (done, isOver) = (0, false)
    repeat {
      let offset = (plan.isDescending ? piece.count - 1 - done : done) * plan.size
      if let source = piece.source { left = element(source, offset, plan.size, piece.count) }
      right = element(target, offset, plan.size, piece.count)
      done += 1
      if let stopsOnEqual { isOver = (left == right) == stopsOnEqual }
    } while !isOver && done < piece.count
    cpu.savedFlags = SavedFlags.comparing(left, right, size: plan.size)
    return (done, isOver)
  }

  @inline(always)
  private func element(
    _ window: LinearWindow, _ offset: Int, _ size: Int, _ count: Int
  ) -> UInt64 {
    guard count > 1, let host = unsafe window.first.host else { return readValue(window) }
    return unsafe load(host + offset, size)
  }

  @inline(always)
  private func load(_ place: UnsafeMutableRawPointer, _ size: Int) -> UInt64 {
    switch size {
    case 1: UInt64(unsafe place.load(as: UInt8.self))
    case 2: UInt64(unsafe place.loadUnaligned(as: UInt16.self))
    case 4: UInt64(unsafe place.loadUnaligned(as: UInt32.self))
    default: unsafe place.loadUnaligned(as: UInt64.self)
    }
  }

  @inline(always)
  private func store(_ value: UInt64, _ place: UnsafeMutableRawPointer, _ size: Int) {
    switch size {
    case 1: unsafe place.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    case 2: unsafe place.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
    case 4: unsafe place.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    default: unsafe place.storeBytes(of: value, as: UInt64.self)
    }
  }
}
