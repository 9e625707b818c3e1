/// The floating-point instructions of SSE to SSE3 in the 0F map, with their VEX twins.
enum FloatingRows {
  static let all: [OpcodeRow] = arithmetic + moves + partialMoves + conversions + compares

  /// An operation on packed and scalar, single and double numbers.
  private static func floating(
    _ opcode: UInt8, _ ps: StaticString, _ pd: StaticString, _ ss: StaticString, _ sd: StaticString
  ) -> [OpcodeRow] {
    packed(opcode, ps, pd) + [
      row(opcode, ss, .vdq.rw, .wd).f3.twin(.separate),
      row(opcode, sd, .vdq.rw, .wq).f2.twin(.separate),
    ]
  }

  private static func packed(
    _ opcode: UInt8, _ ps: StaticString, _ pd: StaticString
  ) -> [OpcodeRow] {
    [
      row(opcode, ps, .vx.rw, .wx).np.twin(.separate),
      row(opcode, pd, .vx.rw, .wx).p66.twin(.separate),
    ]
  }

  /// Horizontal operations, selected by 66 and F2.
  private static func horizontal(
    _ opcode: UInt8, _ pd: StaticString, _ ps: StaticString
  ) -> [OpcodeRow] {
    [
      row(opcode, pd, .vx.rw, .wx).p66.needs(.sse3).twin(.separate),
      row(opcode, ps, .vx.rw, .wx).f2.needs(.sse3).twin(.separate),
    ]
  }

  static let arithmetic: [OpcodeRow] =
    packed(0x14, "unpcklps", "unpcklpd") + packed(0x15, "unpckhps", "unpckhpd")
    + packed(0x54, "andps", "andpd") + packed(0x55, "andnps", "andnpd")
    + packed(0x56, "orps", "orpd") + packed(0x57, "xorps", "xorpd")
    + floating(0x58, "addps", "addpd", "addss", "addsd")
    + floating(0x59, "mulps", "mulpd", "mulss", "mulsd")
    + floating(0x5c, "subps", "subpd", "subss", "subsd")
    + floating(0x5d, "minps", "minpd", "minss", "minsd")
    + floating(0x5e, "divps", "divpd", "divss", "divsd")
    + floating(0x5f, "maxps", "maxpd", "maxss", "maxsd")
    + horizontal(0x7c, "haddpd", "haddps") + horizontal(0x7d, "hsubpd", "hsubps")
    + horizontal(0xd0, "addsubpd", "addsubps") + [
      row(0x51, "sqrtps", .vx.w, .wx).np.twin(.same),
      row(0x51, "sqrtpd", .vx.w, .wx).p66.twin(.same),
      row(0x51, "sqrtss", .vdq.rw, .wd).f3.twin(.separate),
      row(0x51, "sqrtsd", .vdq.rw, .wq).f2.twin(.separate),
      row(0x52, "rsqrtps", .vx.w, .wx).np.twin(.same),
      row(0x52, "rsqrtss", .vdq.rw, .wd).f3.twin(.separate),
      row(0x53, "rcpps", .vx.w, .wx).np.twin(.same),
      row(0x53, "rcpss", .vdq.rw, .wd).f3.twin(.separate),
      row(0xc6, "shufps", .vx.rw, .wx, .ib).np.twin(.separate),
      row(0xc6, "shufpd", .vx.rw, .wx, .ib).p66.twin(.separate),
    ]

  static let moves: [OpcodeRow] = [
    row(0x10, "movups", .vx.w, .wx).np.twin(.same),
    row(0x11, "movups", .wx.w, .vx).np.twin(.same),
    row(0x10, "movupd", .vx.w, .wx).p66.twin(.same),
    row(0x11, "movupd", .wx.w, .vx).p66.twin(.same),
    row(0x28, "movaps", .vx.w, .wx).np.twin(.same),
    row(0x29, "movaps", .wx.w, .vx).np.twin(.same),
    row(0x28, "movapd", .vx.w, .wx).p66.twin(.same),
    row(0x29, "movapd", .wx.w, .vx).p66.twin(.same),
    row(0x2b, "movntps", .mx.w, .vx).np.twin(.same),
    row(0x2b, "movntpd", .mx.w, .vx).p66.twin(.same),
    row(0x50, "movmskps", .gy.w, .udq).np,
    row(0x50, "movmskpd", .gy.w, .udq).p66,
    vex(0x50, "movmskps", .gd.w, .ux).np,
    vex(0x50, "movmskpd", .gd.w, .ux),
    row(0x12, "movddup", .vx.w, .vector(.duplicate)).f2.needs(.sse3).twin(.same),
    row(0x12, "movsldup", .vx.w, .wx).f3.needs(.sse3).twin(.same),
    row(0x16, "movshdup", .vx.w, .wx).f3.needs(.sse3).twin(.same),
    group(0xae, 2, "ldmxcsr", .md).np.l0.twin(.same),
    group(0xae, 3, "stmxcsr", .md.w).np.l0.twin(.same),
  ]

  /// Moves of a part of a register: two operands with memory, a merge between registers.
  static let partialMoves: [OpcodeRow] = [
    row(0x10, "movss", .vdq.w, .md).f3.twin(.same),
    row(0x10, "movss", .vdq.rw, .udq).f3.twin(.separate),
    row(0x11, "movss", .md.w, .vdq).f3.twin(.same),
    row(0x11, "movss", .udq.rw, .vdq).f3,
    vex(0x11, "movss", .udq.w, .hdq, .vdq).f3,
    row(0x10, "movsd", .vdq.w, .mq).f2.twin(.same),
    row(0x10, "movsd", .vdq.rw, .udq).f2.twin(.separate),
    row(0x11, "movsd", .mq.w, .vdq).f2.twin(.same),
    row(0x11, "movsd", .udq.rw, .vdq).f2,
    vex(0x11, "movsd", .udq.w, .hdq, .vdq).f2,
    row(0x12, "movlps", .vdq.rw, .mq).np.l0.twin(.separate),
    row(0x12, "movhlps", .vdq.rw, .udq).np.l0.twin(.separate),
    row(0x12, "movlpd", .vdq.rw, .mq).p66.l0.twin(.separate),
    row(0x13, "movlps", .mq.w, .vdq).np.l0.twin(.same),
    row(0x13, "movlpd", .mq.w, .vdq).p66.l0.twin(.same),
    row(0x16, "movhps", .vdq.rw, .mq).np.l0.twin(.separate),
    row(0x16, "movlhps", .vdq.rw, .udq).np.l0.twin(.separate),
    row(0x16, "movhpd", .vdq.rw, .mq).p66.l0.twin(.separate),
    row(0x17, "movhps", .mq.w, .vdq).np.l0.twin(.same),
    row(0x17, "movhpd", .mq.w, .vdq).p66.l0.twin(.same),
  ]

  static let conversions: [OpcodeRow] = [
    row(0x2a, "cvtpi2ps", .vdq.rw, .qq).np,
    row(0x2a, "cvtpi2pd", .vdq.w, .qq).p66,
    row(0x2a, "cvtsi2ss", .vdq.rw, .ey).f3.twin(.separate),
    row(0x2a, "cvtsi2sd", .vdq.rw, .ey).f2.twin(.separate),
    row(0x2c, "cvttps2pi", .pq.w, .wq).np,
    row(0x2c, "cvttpd2pi", .pq.w, .wdq).p66,
    row(0x2c, "cvttss2si", .gy.w, .wd).f3.twin(.same),
    row(0x2c, "cvttsd2si", .gy.w, .wq).f2.twin(.same),
    row(0x2d, "cvtps2pi", .pq.w, .wq).np,
    row(0x2d, "cvtpd2pi", .pq.w, .wdq).p66,
    row(0x2d, "cvtss2si", .gy.w, .wd).f3.twin(.same),
    row(0x2d, "cvtsd2si", .gy.w, .wq).f2.twin(.same),
    row(0x5a, "cvtps2pd", .vx.w, .vector(.half)).np.twin(.same),
    row(0x5a, "cvtpd2ps", .vdq.w, .wx).p66.twin(.same),
    row(0x5a, "cvtss2sd", .vdq.rw, .wd).f3.twin(.separate),
    row(0x5a, "cvtsd2ss", .vdq.rw, .wq).f2.twin(.separate),
    row(0x5b, "cvtdq2ps", .vx.w, .wx).np.twin(.same),
    row(0x5b, "cvtps2dq", .vx.w, .wx).p66.twin(.same),
    row(0x5b, "cvttps2dq", .vx.w, .wx).f3.twin(.same),
    row(0xe6, "cvttpd2dq", .vdq.w, .wx).p66.twin(.same),
    row(0xe6, "cvtdq2pd", .vx.w, .vector(.half)).f3.twin(.same),
    row(0xe6, "cvtpd2dq", .vdq.w, .wx).f2.twin(.same),
  ]

  static let compares: [OpcodeRow] = [
    row(0x2e, "ucomiss", .vdq, .wd).np.flags(.all).twin(.same),
    row(0x2e, "ucomisd", .vdq, .wq).p66.flags(.all).twin(.same),
    row(0x2f, "comiss", .vdq, .wd).np.flags(.all).twin(.same),
    row(0x2f, "comisd", .vdq, .wq).p66.flags(.all).twin(.same),
    row(0xc2, "cmpps", .vx.rw, .wx, .ib).np.twin(.separate),
    row(0xc2, "cmppd", .vx.rw, .wx, .ib).p66.twin(.separate),
    row(0xc2, "cmpss", .vdq.rw, .wd, .ib).f3.twin(.separate),
    row(0xc2, "cmpsd", .vdq.rw, .wq, .ib).f2.twin(.separate),
  ]
}
