/// The escape opcodes D8 to DF: SDM vol. 2D, tables.
enum X87Rows {
  static let all: [OpcodeRow] = memory + arithmetic + stack + constants + control

  static let memory: [OpcodeRow] =
    arithmeticFrom(0xd8, .md) + arithmeticFrom(0xdc, .mq) + integerFrom(0xda, .md)
    + integerFrom(0xde, .mw) + [
      group(0xd9, 0, "fld", .md),
      group(0xd9, 2, "fst", .md.w),
      group(0xd9, 3, "fstp", .md.w),
      group(0xdb, 0, "fild", .md),
      group(0xdb, 1, "fisttp", .md.w).needs(.sse3),
      group(0xdb, 2, "fist", .md.w),
      group(0xdb, 3, "fistp", .md.w),
      group(0xdb, 5, "fld", .memory(.b10)),
      group(0xdb, 7, "fstp", .memory(.b10).w),
      group(0xdd, 0, "fld", .mq),
      group(0xdd, 1, "fisttp", .mq.w).needs(.sse3),
      group(0xdd, 2, "fst", .mq.w),
      group(0xdd, 3, "fstp", .mq.w),
      group(0xdf, 0, "fild", .mw),
      group(0xdf, 1, "fisttp", .mw.w).needs(.sse3),
      group(0xdf, 2, "fist", .mw.w),
      group(0xdf, 3, "fistp", .mw.w),
      group(0xdf, 4, "fbld", .memory(.b10)),
      group(0xdf, 5, "fild", .mq),
      group(0xdf, 6, "fbstp", .memory(.b10).w),
      group(0xdf, 7, "fistp", .mq.w),
    ]

  private static func arithmeticFrom(_ opcode: UInt8, _ source: OperandForm) -> [OpcodeRow] {
    [
      group(opcode, 0, "fadd", .st0.rw, source),
      group(opcode, 1, "fmul", .st0.rw, source),
      group(opcode, 2, "fcom", .st0, source),
      group(opcode, 3, "fcomp", .st0, source),
      group(opcode, 4, "fsub", .st0.rw, source),
      group(opcode, 5, "fsubr", .st0.rw, source),
      group(opcode, 6, "fdiv", .st0.rw, source),
      group(opcode, 7, "fdivr", .st0.rw, source),
    ]
  }

  private static func integerFrom(_ opcode: UInt8, _ source: OperandForm) -> [OpcodeRow] {
    [
      group(opcode, 0, "fiadd", .st0.rw, source),
      group(opcode, 1, "fimul", .st0.rw, source),
      group(opcode, 2, "ficom", .st0, source),
      group(opcode, 3, "ficomp", .st0, source),
      group(opcode, 4, "fisub", .st0.rw, source),
      group(opcode, 5, "fisubr", .st0.rw, source),
      group(opcode, 6, "fidiv", .st0.rw, source),
      group(opcode, 7, "fidivr", .st0.rw, source),
    ]
  }

  /// Between registers; DC D0, DC D8, DE D0 and their kind are aliases that processors accept.
  static let arithmetic: [OpcodeRow] = [
    group(0xd8, 0, "fadd", .st0.rw, .sti),
    group(0xd8, 1, "fmul", .st0.rw, .sti),
    group(0xd8, 2, "fcom", .st0, .sti),
    group(0xd8, 3, "fcomp", .st0, .sti),
    group(0xd8, 4, "fsub", .st0.rw, .sti),
    group(0xd8, 5, "fsubr", .st0.rw, .sti),
    group(0xd8, 6, "fdiv", .st0.rw, .sti),
    group(0xd8, 7, "fdivr", .st0.rw, .sti),
    group(0xdc, 0, "fadd", .sti.rw, .st0),
    group(0xdc, 1, "fmul", .sti.rw, .st0),
    group(0xdc, 2, "fcom", .st0, .sti),
    group(0xdc, 3, "fcomp", .st0, .sti),
    group(0xdc, 4, "fsubr", .sti.rw, .st0),
    group(0xdc, 5, "fsub", .sti.rw, .st0),
    group(0xdc, 6, "fdivr", .sti.rw, .st0),
    group(0xdc, 7, "fdiv", .sti.rw, .st0),
    group(0xde, 0, "faddp", .sti.rw, .st0),
    group(0xde, 1, "fmulp", .sti.rw, .st0),
    group(0xde, 2, "fcomp", .st0, .sti),
    group(0xde, 3, "fcompp", .st0, .st1).rm(1),
    group(0xde, 4, "fsubrp", .sti.rw, .st0),
    group(0xde, 5, "fsubp", .sti.rw, .st0),
    group(0xde, 6, "fdivrp", .sti.rw, .st0),
    group(0xde, 7, "fdivp", .sti.rw, .st0),
    group(0xda, 5, "fucompp", .st0, .st1).rm(1),
    group(0xdd, 4, "fucom", .st0, .sti),
    group(0xdd, 5, "fucomp", .st0, .sti),
    group(0xdb, 5, "fucomi", .st0, .sti).flags(.all),
    group(0xdb, 6, "fcomi", .st0, .sti).flags(.all),
    group(0xdf, 5, "fucomip", .st0, .sti).flags(.all),
    group(0xdf, 6, "fcomip", .st0, .sti).flags(.all),
  ]

  static let stack: [OpcodeRow] = [
    group(0xda, 0, "fcmovb", .st0.rw, .sti).reads(.carry),
    group(0xda, 1, "fcmove", .st0.rw, .sti).reads(.zero),
    group(0xda, 2, "fcmovbe", .st0.rw, .sti).reads([.carry, .zero]),
    group(0xda, 3, "fcmovu", .st0.rw, .sti).reads(.parity),
    group(0xdb, 0, "fcmovnb", .st0.rw, .sti).reads(.carry),
    group(0xdb, 1, "fcmovne", .st0.rw, .sti).reads(.zero),
    group(0xdb, 2, "fcmovnbe", .st0.rw, .sti).reads([.carry, .zero]),
    group(0xdb, 3, "fcmovnu", .st0.rw, .sti).reads(.parity),
    group(0xd9, 0, "fld", .sti),
    group(0xd9, 1, "fxch", .st0.rw, .sti.rw),
    group(0xd9, 3, "fstp", .sti.w),
    group(0xdd, 0, "ffree", .sti),
    group(0xdd, 1, "fxch", .st0.rw, .sti.rw),
    group(0xdd, 2, "fst", .sti.w, .st0),
    group(0xdd, 3, "fstp", .sti.w, .st0),
    group(0xdf, 0, "ffreep", .sti),
    group(0xdf, 1, "fxch", .st0.rw, .sti.rw),
    group(0xdf, 2, "fstp", .sti.w, .st0),
    group(0xdf, 3, "fstp", .sti.w, .st0),
  ]

  static let constants: [OpcodeRow] = [
    group(0xd9, 2, "fnop").rm(0),
    group(0xd9, 4, "fchs").rm(0),
    group(0xd9, 4, "fabs").rm(1),
    group(0xd9, 4, "ftst").rm(4),
    group(0xd9, 4, "fxam").rm(5),
    group(0xd9, 5, "fld1").rm(0),
    group(0xd9, 5, "fldl2t").rm(1),
    group(0xd9, 5, "fldl2e").rm(2),
    group(0xd9, 5, "fldpi").rm(3),
    group(0xd9, 5, "fldlg2").rm(4),
    group(0xd9, 5, "fldln2").rm(5),
    group(0xd9, 5, "fldz").rm(6),
    group(0xd9, 6, "f2xm1").rm(0),
    group(0xd9, 6, "fyl2x").rm(1),
    group(0xd9, 6, "fptan").rm(2),
    group(0xd9, 6, "fpatan").rm(3),
    group(0xd9, 6, "fxtract").rm(4),
    group(0xd9, 6, "fprem1").rm(5),
    group(0xd9, 6, "fdecstp").rm(6),
    group(0xd9, 6, "fincstp").rm(7),
    group(0xd9, 7, "fprem").rm(0),
    group(0xd9, 7, "fyl2xp1").rm(1),
    group(0xd9, 7, "fsqrt").rm(2),
    group(0xd9, 7, "fsincos").rm(3),
    group(0xd9, 7, "frndint").rm(4),
    group(0xd9, 7, "fscale").rm(5),
    group(0xd9, 7, "fsin").rm(6),
    group(0xd9, 7, "fcos").rm(7),
  ]

  static let control: [OpcodeRow] = [
    group(0xd9, 4, "fldenv", .memory(.environment)),
    group(0xd9, 5, "fldcw", .mw),
    group(0xd9, 6, "fnstenv", .memory(.environment).w),
    group(0xd9, 7, "fnstcw", .mw.w),
    group(0xdd, 4, "frstor", .memory(.x87State)),
    group(0xdd, 6, "fnsave", .memory(.x87State).w),
    group(0xdd, 7, "fnstsw", .mw.w),
    group(0xdf, 4, "fnstsw", .ax.w).rm(0),
    // Of the 8087 and the 80287, without effect since.
    group(0xdb, 4, "fneni").rm(0),
    group(0xdb, 4, "fndisi").rm(1),
    group(0xdb, 4, "fnclex").rm(2),
    group(0xdb, 4, "fninit").rm(3),
    group(0xdb, 4, "fnsetpm").rm(4),
  ]
}
