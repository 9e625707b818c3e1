/// How an operand, or memory, is used.
package struct Access: OptionSet, BitwiseCopyable, Hashable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let read = Access(rawValue: 1)
  package static let write = Access(rawValue: 2)
  package static let readWrite: Access = [.read, .write]
}

/// What an operand names.
package enum OperandKind: UInt8, BitwiseCopyable {
  case none
  /// A general register, its low byte, word, doubleword or whole, by ``Operand/size``.
  case general
  /// AH, CH, DH or BH: ``Operand/number`` is the register it is the second byte of, 0 to 3.
  case highByte
  case vector, mmx, x87, segment, control, debug
  /// The memory operand described by the instruction.
  case memory
  case immediate, relative
}

/// Where the encoding names the operand, hence where the translator puts the mapped register.
package enum OperandPlace: UInt8, BitwiseCopyable {
  /// Nowhere: fixed by the opcode (RAX of MUL, CL of shifts).
  case implicit
  case modRMRegister, modRMMemory, vexRegister, opcodeLow
  /// The high nibble of the immediate byte (VBLENDVPS and its kind).
  case immediateHigh
  case immediate
}

/// One operand of a decoded instruction.
package struct Operand: BitwiseCopyable, Hashable {
  package var kind: OperandKind
  package var place: OperandPlace
  package var access: Access
  /// The register's number, 0 to 15; 0 where the operand is none.
  package var number: UInt8
  /// In bytes; how much of the register or memory is used. 32-bit writes clear the upper half.
  package var size: UInt8

  package init(
    kind: OperandKind, place: OperandPlace, access: Access, number: UInt8, size: UInt8
  ) {
    self.kind = kind
    self.place = place
    self.access = access
    self.number = number
    self.size = size
  }

  package static let none = Operand(
    kind: .none, place: .implicit, access: [], number: 0, size: 0)
}
