/// MMX, and the integer instructions of SSE to SSE4.2 with their VEX twins, in the 0F map.
enum PackedIntegerRows {
  static let all: [OpcodeRow] = arithmetic + shifts + moves + shuffles

  /// An MMX row and the SSE2 row of the same name, which has a VEX twin with its own destination.
  static func packed(
    _ opcode: UInt8, _ name: StaticString, mmx: OperandForm = .qq, source: OperandForm = .wx,
    _ feature: FeatureSet = .always
  ) -> [OpcodeRow] {
    [
      row(opcode, name, .pq.rw, mmx).np.needs(feature),
      row(opcode, name, .vx.rw, source).p66.needs(feature).twin(.separate, long: .avx2),
    ]
  }

  static let arithmetic: [OpcodeRow] =
    packed(0x60, "punpcklbw", mmx: .qd) + packed(0x61, "punpcklwd", mmx: .qd)
    + packed(0x62, "punpckldq", mmx: .qd) + packed(0x63, "packsswb") + packed(0x64, "pcmpgtb")
    + packed(0x65, "pcmpgtw") + packed(0x66, "pcmpgtd") + packed(0x67, "packuswb")
    + packed(0x68, "punpckhbw") + packed(0x69, "punpckhwd") + packed(0x6a, "punpckhdq")
    + packed(0x6b, "packssdw") + packed(0x74, "pcmpeqb") + packed(0x75, "pcmpeqw")
    + packed(0x76, "pcmpeqd") + additions + [
      row(0x6c, "punpcklqdq", .vx.rw, .wx).p66.twin(.separate, long: .avx2),
      row(0x6d, "punpckhqdq", .vx.rw, .wx).p66.twin(.separate, long: .avx2),
    ]

  private static let additions: [OpcodeRow] = additionNames.flatMap { packed($0.0, $0.1) }

  private static let additionNames: [(UInt8, StaticString)] = [
    (0xd4, "paddq"), (0xd5, "pmullw"), (0xd8, "psubusb"), (0xd9, "psubusw"), (0xda, "pminub"),
    (0xdb, "pand"), (0xdc, "paddusb"), (0xdd, "paddusw"), (0xde, "pmaxub"), (0xdf, "pandn"),
    (0xe0, "pavgb"), (0xe3, "pavgw"), (0xe4, "pmulhuw"), (0xe5, "pmulhw"), (0xe8, "psubsb"),
    (0xe9, "psubsw"), (0xea, "pminsw"), (0xeb, "por"), (0xec, "paddsb"), (0xed, "paddsw"),
    (0xee, "pmaxsw"), (0xef, "pxor"), (0xf4, "pmuludq"), (0xf5, "pmaddwd"), (0xf6, "psadbw"),
    (0xf8, "psubb"), (0xf9, "psubw"), (0xfa, "psubd"), (0xfb, "psubq"), (0xfc, "paddb"),
    (0xfd, "paddw"), (0xfe, "paddd"),
  ]

  /// By a count in a register or in memory, 128 bits of it at any length, and by an immediate.
  static let shifts: [OpcodeRow] =
    [
      (0xd1, "psrlw"), (0xd2, "psrld"), (0xd3, "psrlq"), (0xe1, "psraw"), (0xe2, "psrad"),
      (0xf1, "psllw"), (0xf2, "pslld"), (0xf3, "psllq"),
    ].flatMap { (opcode: UInt8, name: StaticString) in packed(opcode, name, source: .wdq) }
    + shift(0x71, 2, "psrlw") + shift(0x71, 4, "psraw") + shift(0x71, 6, "psllw")
    + shift(0x72, 2, "psrld") + shift(0x72, 4, "psrad") + shift(0x72, 6, "pslld")
    + shift(0x73, 2, "psrlq") + shift(0x73, 6, "psllq") + shiftVector(0x73, 3, "psrldq")
    + shiftVector(0x73, 7, "pslldq")

  private static func shift(
    _ opcode: UInt8, _ field: UInt8, _ name: StaticString
  ) -> [OpcodeRow] {
    [group(opcode, field, name, .nq.rw, .ib).np] + shiftVector(opcode, field, name)
  }

  private static func shiftVector(
    _ opcode: UInt8, _ field: UInt8, _ name: StaticString
  ) -> [OpcodeRow] {
    [
      group(opcode, field, name, .ux.rw, .ib).p66,
      vexGroup(opcode, field, name, .hx.w, .ux, .ib).p66.long(.avx2),
    ]
  }

  static let moves: [OpcodeRow] = [
    row(0x6e, "movd/movd/movq", .pq.w, .ey).np,
    row(0x6e, "movd/movd/movq", .vdq.w, .ey).p66.l0.twin(.same),
    row(0x7e, "movd/movd/movq", .ey.w, .pq).np,
    row(0x7e, "movd/movd/movq", .ey.w, .vdq).p66.l0.twin(.same),
    row(0x6f, "movq", .pq.w, .qq).np,
    row(0x7f, "movq", .qq.w, .pq).np,
    row(0x6f, "movdqa", .vx.w, .wx).p66.twin(.same),
    row(0x7f, "movdqa", .wx.w, .vx).p66.twin(.same),
    row(0x6f, "movdqu", .vx.w, .wx).f3.twin(.same),
    row(0x7f, "movdqu", .wx.w, .vx).f3.twin(.same),
    row(0x7e, "movq", .vdq.w, .wq).f3.l0.twin(.same),
    row(0xd6, "movq", .wq.w, .vdq).p66.l0.twin(.same),
    row(0xd6, "movq2dq", .vdq.w, .nq).f3,
    row(0xd6, "movdq2q", .pq.w, .udq).f2,
    row(0xe7, "movntq", .mq.w, .pq).np,
    row(0xe7, "movntdq", .mx.w, .vx).p66.twin(.same),
    row(0xf0, "lddqu", .vx.w, .mx).f2.needs(.sse3).twin(.same),
    row(0xf7, "maskmovq", .pq, .nq, .implied(.b8).w.hidden).np.does(.maskedMove),
    row(0xf7, "maskmovdqu", .vdq, .udq, .implied(.b16).w.hidden).p66.l0.does(.maskedMove).twin(
      .same),
    row(0xd7, "pmovmskb", .gd.w, .nq).np,
    row(0xd7, "pmovmskb", .gd.w, .ux).p66.twin(.same, long: .avx2),
    row(0x77, "emms").np,
    vex(0x77, "zeroupper").np.l0,
    vex(0x77, "zeroall").np.l1,
  ]

  static let shuffles: [OpcodeRow] = [
    row(0x70, "pshufw", .pq.w, .qq, .ib).np,
    row(0x70, "pshufd", .vx.w, .wx, .ib).p66.twin(.same, long: .avx2),
    row(0x70, "pshufhw", .vx.w, .wx, .ib).f3.twin(.same, long: .avx2),
    row(0x70, "pshuflw", .vx.w, .wx, .ib).f2.twin(.same, long: .avx2),
    row(0xc4, "pinsrw", .pq.rw, .general(.b4, memory: .b2), .ib).np,
    row(0xc4, "pinsrw", .vdq.rw, .general(.b4, memory: .b2), .ib).p66.l0.twin(.separate),
    row(0xc5, "pextrw", .gd.w, .nq, .ib).np,
    row(0xc5, "pextrw", .gd.w, .udq, .ib).p66.l0.twin(.same),
  ]
}

/// A row with a VEX prefix only; 66 selects it unless another modifier follows.
func vex(
  _ opcode: UInt8, _ name: StaticString, _ a: OperandForm = .none, _ b: OperandForm = .none,
  _ c: OperandForm = .none, _ d: OperandForm = .none
) -> OpcodeRow {
  row(opcode, name, a, b, c, d).p66.needs(.avx).with { $0.encoding = .vex }
}

/// A row of a group with a VEX prefix only.
func vexGroup(
  _ opcode: UInt8, _ field: UInt8, _ name: StaticString, _ a: OperandForm, _ b: OperandForm,
  _ c: OperandForm = .none
) -> OpcodeRow {
  vex(opcode, name, a, b, c).with { $0.registerField = field }
}

extension OpcodeRow {
  /// The row has a VEX twin, whose 256-bit form needs `feature`.
  func twin(_ twin: Twin, long feature: FeatureSet? = nil) -> OpcodeRow {
    with {
      $0.twin = twin
      $0.longVectorFeature = feature
    }
  }

  /// The 256-bit form needs another feature.
  func long(_ feature: FeatureSet) -> OpcodeRow { with { $0.longVectorFeature = feature } }
}
