internal import X86

extension BlockTranslator {
  /// Emits the linear address of the current instruction's memory operand into R11.
  ///
  /// Clobbers RCX, leaves the flags alone.
  ///
  /// - Parameter stackBias: Added when the base is RSP: POP computes its address after popping.
  mutating func emitAddress(_ access: Access, size: Int, stackBias: Int64 = 0) {
    let bias = instruction.base == 4 ? stackBias : 0
    emitOffset(displacement: instruction.displacement + bias)
    emitSegment(instruction.segment, access, size: size)
  }

  /// Emits the operand's offset in its segment into R11, cut to the address size.
  mutating func emitOffset(displacement: Int64) {
    if instruction.base == Instruction.instructionPointer {
      emitConstantLinear(Int64(nextOffset) + displacement)
      if instruction.addressSize == 4 {
        writer.load(.address, .register(HostRegister.address.rawValue), wide: false)
      }
      return
    }
    let wide = instruction.addressSize == 8
    if instruction.base == Instruction.noRegister && instruction.index == Instruction.noRegister {
      writer.constant(
        .address,
        wide ? UInt64(bitPattern: displacement) : UInt64(UInt32(truncatingIfNeeded: displacement)))
    } else {
      emitSum(
        base: instruction.base, index: (instruction.index, instruction.scaleShift),
        Int32(truncatingIfNeeded: displacement), wide: wide)
    }
    if instruction.addressSize == 2 { writer.lowWord(.address, of: .address) }
  }

  /// R11 becomes the sum of guest registers, of which there is at least one, and a displacement.
  mutating func emitSum(
    base: UInt8, index: (number: UInt8, shift: UInt8), _ displacement: Int32, wide: Bool
  ) {
    let first = emitAddressRegister(base, into: .address)
    if let second = emitAddressRegister(index.number, into: .scratch) {
      emitScaled(base: first, index: (second, index.shift), displacement: displacement, wide: wide)
    } else if let first {
      writer.add(.address, first, nil, displacement, wide: wide)
    }
  }

  /// `lea r11, [base + index * scale + displacement]`; the base is optional.
  private mutating func emitScaled(
    base: HostRegister?, index: (HostRegister, shift: UInt8), displacement: Int32, wide: Bool
  ) {
    let scale = index.shift << 6
    let index = index.0
    let high: UInt8 = 4 | (index.rawValue >> 3) << 1 | ((base?.rawValue ?? 0) >> 3)
    writer.bytes(0x40 | high | (wide ? 8 : 0), 0x8d)
    let number = base?.rawValue ?? 5
    // ModRM: R11, SIB follows; mode 2 (disp32), or mode 0 without a base (disp32 too).
    writer.bytes(
      (base == nil ? 0 : 0x80) | 3 << 3 | 4, scale | (index.rawValue & 7) << 3 | number & 7)
    writer.word(displacement)
  }

  /// The host register with a guest register's value, loaded into `temporary` if it has none.
  private mutating func emitAddressRegister(
    _ guest: UInt8, into temporary: HostRegister
  ) -> HostRegister? {
    guard guest != Instruction.noRegister else { return nil }
    if let host = RegisterMap.host(guest) { return host }
    writer.load(temporary, CodeWriter.slot(guest))
    return temporary
  }

  /// Turns the offset in R11 into a linear address, after the segment's checks where it may have
  /// any.
  mutating func emitSegment(_ segment: UInt8, _ access: Access, size: Int) {
    addressesStack = segment == 2
    let writesCode = segment == 1 && access.contains(.write)
    if segment < 4 && (isLong || mode.contains(.flat) && !writesCode) { return }
    if !isLong {
      let index = Int32(segment) * 8
      let bounds = access.contains(.write) ? \RunState.bounds.writes : \RunState.bounds.reads
      var stub = ColdStub(kind: .segment, site: 0)
      stub.site = emitBound(.state(StateLayout.run(bounds) + index), size: size)
      stub.rejoin = here
      stub.size = UInt16(size)
      stub.access = access
      stub.segment = segment
      _ = addCold(stub)
    }
    writer.load(.scratch, Self.segmentBase(segment))
    writer.add(.address, .address, .scratch, 0, wide: isLong)
  }

  /// Compares the offset in R11 with a bound of ``SegmentBounds``; the flags stay, for a fault.
  ///
  /// - Returns: The jump to the cold stub.
  mutating func emitBound(_ bound: HostOperand, size: Int) -> UInt32 {
    writer.load(.scratch, bound)
    writer.add(.scratch, .scratch, .address, Int32(size - 1))
    writer.bytes(0x48, 0xf7, 0xd1)  // not rcx
    writer.extractBits(.scratch, .scratch, mask: .state(StateLayout.run(\.signMask)))
    writer.bytes(0xe3, 0x05)  // jrcxz over the jump: the sum was negative
    writer.byte(0xe9)
    writer.word(0)
    return here - 4
  }

  static func segmentBase(_ segment: UInt8) -> HostOperand {
    let stride = MemoryLayout<SegmentRegister>.stride
    let field = MemoryLayout<SegmentRegister>.offset(of: \.base) ?? 0
    return .state(StateLayout.field(\.segments) + Int32(Int(segment) * stride + field))
  }

  /// R11 becomes the linear address `distance` from the current page's start.
  mutating func emitConstantLinear(_ distance: Int64) {
    writer.load(.address, .state(StateLayout.field(\.codePage)))
    if let small = Int32(exactly: distance) {
      if small != 0 { writer.add(.address, .address, nil, small, wide: isLong) }
    } else {
      writer.constant(.scratch, UInt64(bitPattern: distance))
      writer.add(.address, .address, .scratch, 0, wide: isLong)
    }
  }
}
