extension BlockTranslator {
  /// R11 becomes the linear address `distance` above the stack pointer, or `base`.
  mutating func emitStackAddress(
    _ distance: Int32, _ access: Access, size: Int, base: HostRegister = .r15
  ) {
    writer.add(.address, base, nil, distance, wide: isLong)
    if mode.contains(.smallStack) { writer.lowWord(.address, of: .address) }
    emitSegment(2, access, size: size)
  }

  /// The stack pointer becomes `base` moved, flags untouched.
  mutating func emitStackMove(_ distance: Int32, base: HostRegister = .r15) {
    if mode.contains(.smallStack) {
      writer.addWord(.r15, base, distance)
    } else {
      writer.add(.r15, base, nil, distance, wide: isLong)
    }
  }

  /// Checks the top of the stack, or what a frame's base points to, for a read.
  mutating func emitStackRead(size: Int, base: HostRegister = .r15) -> HostOperand {
    if let group = groups.group(of: position, isStack: true) {
      return emitGrouped(group, stackBy: 0, base: base)
    }
    emitStackAddress(0, .read, size: size, base: base)
    return emitCheck(size: size, .read, plain: false).pointer
  }

  mutating func emitStackPush(_ value: StackStore, size: Int) {
    emitStackStore(value, size: size)
    emitStackMove(-Int32(size))
  }

  /// Checks the slot below the stack pointer and stores there.
  mutating func emitStackStore(_ value: StackStore, size: Int) {
    if let group = groups.group(of: position, isStack: true) {
      emitStore(value, to: emitGrouped(group, stackBy: -Int32(size)), by: .address)
      return
    }
    emitStackAddress(-Int32(size), .write, size: size)
    let check = emitCheck(size: size, .write, plain: true)
    emitStore(value, to: check.pointer)
    finishWrite(check.stub, body: .store(value))
  }

  /// - Parameter temporary: A register that the pointer does not need.
  mutating func emitStore(
    _ value: StackStore, to pointer: HostOperand, by temporary: HostRegister = .scratch
  ) {
    let size = instruction.operandSize
    switch value {
    case .general(let guest):
      if let host = RegisterMap.host(guest) {
        emitStoreRegister(host, to: pointer, size: size)
      } else {
        writer.load(temporary, CodeWriter.slot(guest))
        emitStoreRegister(temporary, to: pointer, size: size)
      }
    case .immediate(let constant):
      if size == 2 { writer.byte(0x66) }
      writer.operation(0xc7, 0, pointer, wide: size == 8)
      if size == 2 {
        writer.immediate(Int64(constant), bytes: 2)
      } else {
        writer.word(constant)
      }
    case .returnAddress(let distance):
      writer.load(temporary, .state(StateLayout.field(\.codePage)))
      writer.add(temporary, temporary, nil, distance, wide: isLong)
      emitStoreRegister(temporary, to: pointer, size: size)
    case .spill:
      writer.load(temporary, .state(StateLayout.run(\.spill)))
      emitStoreRegister(temporary, to: pointer, size: size)
    }
  }

  private mutating func emitStoreRegister(
    _ register: HostRegister, to pointer: HostOperand, size: UInt8
  ) {
    if size == 2 {
      writer.storeWord(register, pointer)
    } else {
      writer.store(register, pointer, wide: size == 8)
    }
  }

  mutating func emitPush() {
    let size = Int(instruction.operandSize)
    if instruction.hasMemory {
      emitLoad(.address, emitRead(size: size), size: size)
      writer.store(.address, .state(StateLayout.run(\.spill)))
      emitStackPush(.spill, size: size)
    } else if instruction.operands[0].kind == .general {
      emitStackPush(.general(instruction.operands[0].number), size: size)
    } else {
      emitStackPush(.immediate(Int32(truncatingIfNeeded: instruction.immediate)), size: size)
    }
  }

  mutating func emitPop() {
    let size = Int(instruction.operandSize)
    if instruction.hasMemory && instruction.base == 4 && mode.contains(.smallStack) {
      emitSystem(thunks.system)  // the operand's base is ESP, of which the pop moves SP
      return
    }
    let pointer = emitStackRead(size: size)
    if instruction.hasMemory {
      emitPopToMemory(from: pointer, size: size)
      return
    }
    let guest = instruction.operands[0].number
    if guest == 4 {
      emitPopStackPointer(from: pointer, size: size)
      return
    }
    if size >= 4 {
      let host = RegisterMap.host(guest) ?? .address
      writer.load(host, pointer, wide: size == 8)
      if RegisterMap.host(guest) == nil { writer.store(.address, CodeWriter.slot(guest)) }
    } else {
      emitLoad(.address, pointer, size: size)
      writer.storeWord(.address, RegisterMap.operand(guest))
    }
    emitStackMove(Int32(size))
  }

  private mutating func emitPopStackPointer(from pointer: HostOperand, size: Int) {
    if size >= 4 {
      writer.load(.r15, pointer, wide: size == 8)
    } else {
      emitLoad(.address, pointer, size: size)
      emitStackMove(Int32(size))  // what a carry does to the rest of the register stays
      writer.storeWord(.address, .register(HostRegister.r15.rawValue))
    }
  }

  /// The address is computed with the stack pointer already moved, and checked before it moves.
  private mutating func emitPopToMemory(from pointer: HostOperand, size: Int) {
    emitLoad(.address, pointer, size: size)
    writer.store(.address, .state(StateLayout.run(\.spill)))
    emitAddress(.write, size: size, stackBias: Int64(size))
    let check = emitCheck(size: size, .write, plain: true)
    emitStore(.spill, to: check.pointer)
    finishWrite(check.stub, body: .store(.spill))
    emitStackMove(Int32(size))
  }

  mutating func emitLeave() {
    let size = Int(instruction.operandSize)
    let pointer = emitStackRead(size: size, base: .rbp)
    emitStackMove(Int32(size), base: .rbp)
    if size == 2 { writer.byte(0x66) }  // the rest of RBP stays
    writer.load(.rbp, pointer, wide: size == 8)
  }
}
