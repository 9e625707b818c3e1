/// One operand of an opcode row: where the encoding names it, what it is, how much of it is used
/// and how. The short names are those of SDM vol. 2D, appendix A.2.
package struct OperandForm: BitwiseCopyable {
  /// What the ModRM byte may be for this form to apply.
  package enum Mode: UInt8, BitwiseCopyable { case any, memory, register }

  package var kind: OperandKind = .none
  package var place: OperandPlace = .implicit
  package var access: Access = .read
  /// Of an implicit register.
  package var number: UInt8 = 0
  /// Bytes used of a register, and of memory where the form allows it.
  package var size: SizeRule = .none
  package var memorySize: SizeRule = .none
  package var mode: Mode = .any
  /// Used, but not written in assembly language.
  package var isHidden = false

  package static let none = OperandForm()

  /// The same operand, written only.
  package var w: OperandForm { with(.write) }
  /// The same operand, read and written.
  package var rw: OperandForm { with(.readWrite) }
  /// The same operand, named but neither read nor written.
  package var unused: OperandForm { with([]) }

  /// The same operand, which assembly language leaves out.
  package var hidden: OperandForm {
    var form = self
    form.isHidden = true
    return form
  }

  private func with(_ access: Access) -> OperandForm {
    var form = self
    form.access = access
    return form
  }

  private static func register(
    _ kind: OperandKind, _ place: OperandPlace, _ size: SizeRule
  ) -> OperandForm {
    OperandForm(
      kind: kind, place: place, size: size, mode: place == .modRMMemory ? .register : .any)
  }

  private static func either(
    _ kind: OperandKind, _ size: SizeRule, memory: SizeRule? = nil
  ) -> OperandForm {
    OperandForm(kind: kind, place: .modRMMemory, size: size, memorySize: memory ?? size)
  }

  private static func fixed(
    _ number: UInt8, _ size: SizeRule, _ kind: OperandKind = .general
  ) -> OperandForm {
    OperandForm(kind: kind, place: .implicit, number: number, size: size)
  }

  /// Memory only, of a size.
  package static func memory(_ size: SizeRule) -> OperandForm {
    OperandForm(kind: .memory, place: .modRMMemory, size: size, memorySize: size, mode: .memory)
  }

  /// Memory that the instruction implies (strings, XLAT), of a size.
  package static func implied(_ size: SizeRule) -> OperandForm {
    OperandForm(kind: .memory, place: .implicit, size: size, memorySize: size)
  }

  /// A vector register, or that much memory.
  package static func vector(_ size: SizeRule) -> OperandForm { either(.vector, .x, memory: size) }

  /// A general register of one size, or memory of another.
  package static func general(_ size: SizeRule, memory: SizeRule) -> OperandForm {
    either(.general, size, memory: memory)
  }
}

// General registers and memory
extension OperandForm {
  package static let eb = either(.general, .b1)
  package static let ew = either(.general, .b2)
  package static let ed = either(.general, .b4)
  package static let ev = either(.general, .v)
  package static let ey = either(.general, .y)
  package static let gb = register(.general, .modRMRegister, .b1)
  package static let gw = register(.general, .modRMRegister, .b2)
  package static let gd = register(.general, .modRMRegister, .b4)
  package static let gv = register(.general, .modRMRegister, .v)
  package static let gz = register(.general, .modRMRegister, .z)
  package static let gy = register(.general, .modRMRegister, .y)
  package static let gm = register(.general, .modRMRegister, .m)
  package static let by = register(.general, .vexRegister, .y)
  package static let zb = register(.general, .opcodeLow, .b1)
  package static let zv = register(.general, .opcodeLow, .v)
  package static let rd = register(.general, .modRMMemory, .b4)
  package static let rv = register(.general, .modRMMemory, .v)
  package static let ry = register(.general, .modRMMemory, .y)
  package static let rm = register(.general, .modRMMemory, .m)

  package static let al = fixed(0, .b1)
  package static let ah = fixed(0, .b1, .highByte)
  package static let ax = fixed(0, .b2)
  package static let eax = fixed(0, .b4)
  package static let rax = fixed(0, .v)
  package static let raxZ = fixed(0, .z)
  package static let raxY = fixed(0, .y)
  package static let raxA = fixed(0, .a)
  package static let cl = fixed(1, .b1)
  package static let ecx = fixed(1, .b4)
  package static let rcxY = fixed(1, .y)
  package static let rcxA = fixed(1, .a)
  package static let dx = fixed(2, .b2)
  package static let edx = fixed(2, .b4)
  package static let rdx = fixed(2, .v)
  package static let rdxY = fixed(2, .y)
  package static let ebx = fixed(3, .b4)
  package static let rbxY = fixed(3, .y)

  package static let es = fixed(0, .b2, .segment)
  package static let cs = fixed(1, .b2, .segment)
  package static let ss = fixed(2, .b2, .segment)
  package static let ds = fixed(3, .b2, .segment)
  package static let fs = fixed(4, .b2, .segment)
  package static let gs = fixed(5, .b2, .segment)

  package static let sw = register(.segment, .modRMRegister, .b2)
  package static let cm = register(.control, .modRMRegister, .m)
  package static let dm = register(.debug, .modRMRegister, .m)

  /// An address that is not accessed (LEA, INVLPG, hints).
  package static let address = memory(.none).unused
  package static let mb = memory(.b1)
  package static let mw = memory(.b2)
  package static let md = memory(.b4)
  package static let mq = memory(.b8)
  package static let mdq = memory(.b16)
  package static let my = memory(.y)
  package static let mv = memory(.v)
  package static let mp = memory(.p)
  package static let mx = memory(.x)
}

// Immediates: `size` is what is encoded.
extension OperandForm {
  private static func constant(_ size: SizeRule, _ kind: OperandKind = .immediate) -> OperandForm {
    OperandForm(kind: kind, place: .immediate, size: size)
  }

  package static let ib = constant(.b1)
  package static let iw = constant(.b2)
  package static let iz = constant(.z)
  package static let iv = constant(.v)
  package static let jb = constant(.b1, .relative)
  package static let jz = constant(.z, .relative)
  /// A far pointer in the instruction: an offset of the operand size and a selector.
  package static let ap = constant(.p)
  /// The constant that the opcode implies: shifts by one.
  package static let one = OperandForm(kind: .immediate, place: .implicit, number: 1, size: .b1)
  /// Memory at an absolute address in the instruction, of a size.
  package static func absolute(_ size: SizeRule) -> OperandForm {
    OperandForm(kind: .memory, place: .immediate, size: size, memorySize: size)
  }
}

// x87, MMX, SSE and AVX registers
extension OperandForm {
  package static let st0 = fixed(0, .b10, .x87)
  package static let st1 = fixed(1, .b10, .x87)
  package static let sti = register(.x87, .modRMMemory, .b10)

  package static let pq = register(.mmx, .modRMRegister, .b8)
  package static let nq = register(.mmx, .modRMMemory, .b8)
  package static let qq = either(.mmx, .b8)
  package static let qd = either(.mmx, .b8, memory: .b4)

  package static let vx = register(.vector, .modRMRegister, .x)
  package static let vdq = register(.vector, .modRMRegister, .b16)
  package static let vqq = register(.vector, .modRMRegister, .b32)
  package static let hx = register(.vector, .vexRegister, .x)
  package static let hdq = register(.vector, .vexRegister, .b16)
  package static let ux = register(.vector, .modRMMemory, .x)
  package static let udq = register(.vector, .modRMMemory, .b16)
  package static let lx = register(.vector, .immediateHigh, .x)
  package static let wx = vector(.x)
  package static let wb = vector(.b1)
  package static let ww = vector(.b2)
  package static let wd = vector(.b4)
  package static let wq = vector(.b8)
  package static let wdq = either(.vector, .b16)
  package static let xmm0 = fixed(0, .b16, .vector)
}
