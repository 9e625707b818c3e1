/// Emits D2, D3, 0F A5 and 0F AD with operands already chosen: the count is in CL.
struct HostShift {
  private let instruction: Instruction
  private let original: Instruction
  private let pointer: HostOperand?

  /// - Parameters:
  ///   - instruction: The shift, its borrowed registers replaced by host numbers.
  ///   - original: The shift as the guest has it, which tells borrowed registers from mapped ones.
  init(_ instruction: Instruction, original: Instruction, pointer: HostOperand?) {
    self.instruction = instruction
    self.original = original
    self.pointer = pointer
  }

  private func host(_ position: Int) -> UInt8 {
    let guest = original.operands[position].number
    if RegisterMap.host(guest) == nil { return instruction.operands[position].number }
    return RegisterMap.host(guest)?.rawValue ?? 0
  }

  func emit(into writer: inout CodeWriter) {
    var field = instruction.modRMRegister
    var target = pointer ?? .register(0)
    var needsREX = false
    var shiftsCH = false
    for position in 0..<Int(instruction.operandCount) {
      let operand = original.operands[position]
      switch (operand.kind, operand.place) {
      case (.general, .modRMRegister): field = host(position)
      case (.general, .modRMMemory):
        target = .register(host(position))
        needsREX = operand.size == 1 && host(position) >= 4
      case (.highByte, .modRMMemory):
        target = .register(operand.number + 4)
        shiftsCH = operand.number == 1
      default: break
      }
    }
    if instruction.operandSize == 2 { writer.byte(0x66) }
    let rex = CodeWriter.extensionBits(field, target) | (instruction.wide ? 8 : 0)
    if rex != 0 || needsREX { writer.byte(0x40 | rex) }
    if instruction.map == .twoByte { writer.byte(0x0f) }
    writer.byte(instruction.opcode)
    writer.modRM(field, target)
    // RCX held all of guest RCX, so shifting CH by CL happened in place.
    if shiftsCH { writer.move(.r10, .scratch) }
  }
}
