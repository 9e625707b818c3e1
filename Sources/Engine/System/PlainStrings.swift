internal import X86

/// MOVS and STOS as kernels use them for copying and clearing: 64-bit code, upwards, both ends in
/// the soft TLB. Everything else takes the way that is complete.
extension Processor {
  /// Whether ``plainPiece(_:size:left:)`` may be tried at all.
  func isPlainString(_ instruction: borrowing Instruction) -> Bool {
    let (segment, width) = (instruction.segment, instruction.addressSize)
    switch instruction.operation {
    case .moveString, .storeString: break
    default: return false
    }
    let unusual: RFLAGS = [.direction, .trap]
    return cpu.is64Bit && width == 8 && segment < SegmentName.fs.rawValue
      && cpu.systemFlags & unusual.rawValue == 0
  }

  /// Moves or stores as many of `left` elements as are in one page at either end, and advances RSI
  /// and RDI; 0 where a page is not in the soft TLB, or the ends overlap in a way that repeats what
  /// has been written.
  func plainPiece(_ operation: Operation, size: Int, left: UInt64) -> Int {
    let view = memoryView
    let target = cpu.registers[7]
    guard let to = unsafe softTLB.lookup(view, target, write: true) else { return 0 }
    var room = 0x1000 - Int(target & 0xfff)
    if operation == .storeString {
      let count = min(room / size, Int(min(left, 4096)))
      unsafe fill(to, size: size, count: count)
      cpu.registers[7] = target &+ UInt64(count * size)
      return count
    }
    let source = cpu.registers[6]
    guard let from = unsafe softTLB.lookup(view, source, write: false) else { return 0 }
    room = min(room, 0x1000 - Int(source & 0xfff))
    let count = min(room / size, Int(min(left, 4096)))
    let distance = unsafe to - from
    if distance > 0 && distance < count * size { return 0 }
    unsafe to.copyMemory(from: from, byteCount: count * size)
    cpu.registers[6] = source &+ UInt64(count * size)
    cpu.registers[7] = target &+ UInt64(count * size)
    return count
  }

  /// Stores the accumulator `count` times.
  private func fill(_ place: UnsafeMutableRawPointer, size: Int, count: Int) {
    let value = cpu.registers[0]
    let byte = UInt8(truncatingIfNeeded: value)
    // Mostly zeros, which any element size may be made of.
    if size == 1 || value & mask(bytes: UInt8(size)) == 0 {
      unsafe place.initializeMemory(as: UInt8.self, repeating: byte, count: count * size)
      return
    }
    for index in 0..<count {
      let element = unsafe place + index * size
      switch size {
      case 2: unsafe element.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
      case 4: unsafe element.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
      default: unsafe element.storeBytes(of: value, as: UInt64.self)
      }
    }
  }
}
