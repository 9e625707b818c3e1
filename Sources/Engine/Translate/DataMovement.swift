// Instructions that need more than a translated operand.
extension BlockTranslator {
  mutating func emitLoadAddress() {
    let destination = instruction.operands[0].number
    if emitDirectLoadAddress(into: destination) { return }
    emitOffset(displacement: instruction.displacement)
    let size = instruction.operandSize
    let target = RegisterMap.operand(destination)
    if size == 2 {
      writer.storeWord(.address, target)
      return
    }
    // A 32-bit result clears the upper half, in the state block too.
    let needsCut = size == 4 && instruction.addressSize == 8
    if case .register(let number) = target, let host = HostRegister(rawValue: number) {
      writer.load(host, .register(HostRegister.address.rawValue), wide: !needsCut)
    } else {
      if needsCut {
        writer.load(.address, .register(HostRegister.address.rawValue), wide: false)
      }
      writer.store(.address, target)
    }
  }

  /// Emits LEA again as it is, where its registers are the host's.
  ///
  /// - Returns: Whether it did.
  private mutating func emitDirectLoadAddress(into destination: UInt8) -> Bool {
    let instruction = instruction
    guard isLong, instruction.addressSize == 8, instruction.operandSize >= 4,
      instruction.base < Instruction.instructionPointer,
      let target = RegisterMap.host(destination), let base = RegisterMap.host(instruction.base)
    else { return false }
    var index: HostRegister?
    if instruction.index != Instruction.noRegister {
      guard let found = RegisterMap.host(instruction.index) else { return false }
      index = found
    }
    let displacement = Int32(truncatingIfNeeded: instruction.displacement)
    let wide = instruction.operandSize == 8
    if let index {
      writer.addScaled(
        target, base, (index, shift: instruction.scaleShift), displacement, wide: wide)
    } else {
      writer.add(target, base, nil, displacement, wide: wide)
    }
    return true
  }

  mutating func emitMoveOffset() {
    writer.constant(.address, UInt64(bitPattern: instruction.displacement))
    emitSegment(
      instruction.segment, instruction.memoryAccess, size: Int(instruction.memorySize))
    let write = instruction.memoryAccess.contains(.write)
    let check = emitCheck(
      size: Int(instruction.memorySize), instruction.memoryAccess, plain: true)
    emitMoveOffsetBody()
    if write { finishWrite(check.stub, body: .instruction) }
  }

  /// A0…A3 as 8A, 8B, 88, 89 with `[R11]`.
  mutating func emitMoveOffsetBody() {
    if instruction.memorySize == 2 { writer.byte(0x66) }
    let load: UInt8 = instruction.opcode & 2 == 0 ? 2 : 0
    let opcode = 0x88 | instruction.opcode & 1 | load
    writer.operation(opcode, 0, Self.direct, wide: instruction.memorySize == 8)
  }

  /// XLAT: AL = [rBX + AL].
  mutating func emitTranslateByte() {
    writer.bytes(0x0f, 0xb6, 0xc8)  // movzx ecx, al
    writer.add(.address, .rbx, .scratch, 0, wide: instruction.addressSize == 8)
    if instruction.addressSize == 2 { writer.lowWord(.address, of: .address) }
    emitSegment(instruction.segment, .read, size: 1)
    let check = emitCheck(size: 1, .read, plain: true)
    writer.operation(0x8a, 0, check.pointer, wide: false)
  }

  /// MASKMOVDQU and MASKMOVQ store to [rDI], which the host's form takes from RDI.
  mutating func emitMaskedMove() {
    writer.add(.address, .rdi, nil, 0, wide: instruction.addressSize == 8)
    if instruction.addressSize == 2 { writer.lowWord(.address, of: .address) }
    let size = instruction.operands[0].kind == .mmx ? 8 : 16
    emitSegment(instruction.segment, .readWrite, size: size)
    let check = emitCheck(size: size, .readWrite, plain: true)
    emitMaskedMoveBody()
    finishWrite(check.stub, body: .instruction)
  }

  mutating func emitMaskedMoveBody() {
    // FWAIT: a pending x87 exception must come before RDI holds a host address.
    if instruction.operands[0].kind == .mmx { writer.byte(0x9b) }
    writer.store(.rdi, .state(StateLayout.run(\.spill)))
    writer.move(.rdi, .address)
    emitEncoded(pointer: nil)
    writer.load(.rdi, .state(StateLayout.run(\.spill)))
  }

  /// VZEROUPPER or VZEROALL.
  var isVectorClear: Bool {
    instruction.isVEX && instruction.map == .twoByte && instruction.opcode == 0x77
  }

  /// Outside 64-bit code these leave YMM8…15 alone, which the host's would clear.
  mutating func emitVectorClear() {
    for number in UInt8(0)..<8 {
      if instruction.vectorLong {
        writer.bytes(0xc5, 0x81 | (~number & 15) << 3, 0xef)  // vpxor xmm, xmm, xmm
      } else {
        writer.bytes(0xc5, 0xf8, 0x28)  // vmovaps xmm, xmm clears the upper half
      }
      writer.modRM(number, .register(number))
    }
  }

  /// BT and its kind with a bit offset in a register: the offset selects the unit, too.
  mutating func emitBitString() {
    let size = Int(instruction.operandSize)
    let shift: UInt64 = size == 8 ? 6 : size == 4 ? 5 : 4
    emitBitOffset(into: .scratch, size: size)
    writer.constant(.address, shift)
    // sarx rcx, rcx, r11: the unit's number, signed
    writer.vexOperation(
      .sarx, HostRegister.scratch.rawValue, source: HostRegister.address.rawValue,
      .register(HostRegister.scratch.rawValue))
    writer.store(.scratch, .state(StateLayout.run(\.spill)))
    emitOffset(displacement: instruction.displacement)
    writer.load(.scratch, .state(StateLayout.run(\.spill)))
    // lea r11, [r11 + rcx * size]
    let scale: UInt8 = size == 8 ? 0xc0 : size == 4 ? 0x80 : 0x40
    writer.bytes(instruction.addressSize == 8 ? 0x4d : 0x45, 0x8d)
    writer.bytes(0x1c, scale | 1 << 3 | 3)
    if instruction.addressSize == 2 { writer.lowWord(.address, of: .address) }
    emitSegment(instruction.segment, instruction.memoryAccess, size: size)
    let write = instruction.memoryAccess.contains(.write)
    let check = emitCheck(size: size, instruction.memoryAccess, plain: true)
    emitBitStringBody()
    if write { finishWrite(check.stub, body: .instruction) }
  }

  /// The bit's number within its unit goes to RCX; the unit is at `[R11]`.
  mutating func emitBitStringBody() {
    emitBitOffset(into: .scratch, size: 8)
    // The register form takes the offset as it is: it must lie within the unit.
    let mask =
      switch instruction.operandSize {
      case 2: StateLayout.run(\.bitOffsetMask16)
      case 4: StateLayout.run(\.bitOffsetMask32)
      default: StateLayout.run(\.bitOffsetMask)
      }
    writer.extractBits(.scratch, .scratch, mask: .state(mask))
    if instruction.operandSize == 2 { writer.byte(0x66) }
    if instruction.prefixes.contains(.lock) { writer.byte(0xf0) }
    let rex = CodeWriter.extensionBits(HostRegister.scratch.rawValue, Self.direct)
    writer.bytes(0x40 | rex | (instruction.operandSize == 8 ? 8 : 0), 0x0f, instruction.opcode)
    writer.modRM(HostRegister.scratch.rawValue, Self.direct)
  }

  /// The register operand of a bit instruction, sign-extended from `size` bytes.
  private mutating func emitBitOffset(into destination: HostRegister, size: Int) {
    let guest = bitOffsetRegister
    let operand =
      RegisterMap.operand(guest)
    switch size {
    case 8: writer.load(destination, operand)
    case 4: writer.operation(0x63, destination.rawValue, operand)  // movsxd
    default:
      writer.segment(for: operand)
      writer.byte(0x48 | CodeWriter.extensionBits(destination.rawValue, operand))
      writer.bytes(0x0f, 0xbf)  // movsx
      writer.modRM(destination.rawValue, operand)
    }
  }

  private var bitOffsetRegister: UInt8 {
    for index in 0..<Int(instruction.operandCount)
    where instruction.operands[index].place == .modRMRegister {
      return instruction.operands[index].number
    }
    return 0
  }
}
