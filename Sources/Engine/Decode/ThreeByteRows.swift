/// The vector instructions of the 0F 38 and 0F 3A maps that exist without VEX: SSSE3, SSE4.1,
/// SSE4.2, AES, PCLMULQDQ and SHA, with their VEX twins.
enum ThreeByteRows {
  static let map38: [OpcodeRow] =
    supplemental + integers + extensions + [
      row(0x10, "pblendvb", .vdq.rw, .wdq, .xmm0).p66.needs(.sse41),
      row(0x14, "blendvps", .vdq.rw, .wdq, .xmm0).p66.needs(.sse41),
      row(0x15, "blendvpd", .vdq.rw, .wdq, .xmm0).p66.needs(.sse41),
      row(0x17, "ptest", .vx, .wx).p66.needs(.sse41).flags(.all).twin(.same),
      row(0x2a, "movntdqa", .vx.w, .mx).p66.needs(.sse41).twin(.same, long: .avx2),
      row(0x41, "phminposuw", .vdq.w, .wdq).p66.needs(.sse41).l0.twin(.same),
    ] + cryptography

  private static let supplemental: [OpcodeRow] =
    [
      (0x00, "pshufb"), (0x01, "phaddw"), (0x02, "phaddd"), (0x03, "phaddsw"),
      (0x04, "pmaddubsw"), (0x05, "phsubw"), (0x06, "phsubd"), (0x07, "phsubsw"),
      (0x08, "psignb"), (0x09, "psignw"), (0x0a, "psignd"), (0x0b, "pmulhrsw"),
    ].flatMap { (opcode: UInt8, name: StaticString) in
      PackedIntegerRows.packed(opcode, name, .ssse3)
    } + absolute(0x1c, "pabsb") + absolute(0x1d, "pabsw") + absolute(0x1e, "pabsd")

  private static func absolute(_ opcode: UInt8, _ name: StaticString) -> [OpcodeRow] {
    [
      row(opcode, name, .pq.w, .qq).np.needs(.ssse3),
      row(opcode, name, .vx.w, .wx).p66.needs(.ssse3).twin(.same, long: .avx2),
    ]
  }

  private static let integers: [OpcodeRow] =
    [
      (0x28, "pmuldq"), (0x29, "pcmpeqq"), (0x2b, "packusdw"), (0x38, "pminsb"), (0x39, "pminsd"),
      (0x3a, "pminuw"), (0x3b, "pminud"), (0x3c, "pmaxsb"), (0x3d, "pmaxsd"), (0x3e, "pmaxuw"),
      (0x3f, "pmaxud"), (0x40, "pmulld"),
    ].map { (opcode: UInt8, name: StaticString) in
      row(opcode, name, .vx.rw, .wx).p66.needs(.sse41).twin(.separate, long: .avx2)
    } + [
      row(0x37, "pcmpgtq", .vx.rw, .wx).p66.needs(.sse42).twin(.separate, long: .avx2)
    ]

  private static let extensions: [OpcodeRow] =
    [
      (0x20, "pmovsxbw", .half), (0x21, "pmovsxbd", .quarter), (0x22, "pmovsxbq", .eighth),
      (0x23, "pmovsxwd", .half), (0x24, "pmovsxwq", .quarter), (0x25, "pmovsxdq", .half),
      (0x30, "pmovzxbw", .half), (0x31, "pmovzxbd", .quarter), (0x32, "pmovzxbq", .eighth),
      (0x33, "pmovzxwd", .half), (0x34, "pmovzxwq", .quarter), (0x35, "pmovzxdq", .half),
    ].map { (opcode: UInt8, name: StaticString, size: SizeRule) in
      row(opcode, name, .vx.w, .vector(size)).p66.needs(.sse41).twin(.same, long: .avx2)
    }

  private static let cryptography: [OpcodeRow] = [
    row(0xc8, "sha1nexte", .vdq.rw, .wdq).np.needs(.sha),
    row(0xc9, "sha1msg1", .vdq.rw, .wdq).np.needs(.sha),
    row(0xca, "sha1msg2", .vdq.rw, .wdq).np.needs(.sha),
    row(0xcb, "sha256rnds2", .vdq.rw, .wdq, .xmm0).np.needs(.sha),
    row(0xcc, "sha256msg1", .vdq.rw, .wdq).np.needs(.sha),
    row(0xcd, "sha256msg2", .vdq.rw, .wdq).np.needs(.sha),
    row(0xdb, "aesimc", .vdq.w, .wdq).p66.needs(.aes).l0.twin(.same),
    row(0xdc, "aesenc", .vdq.rw, .wdq).p66.needs(.aes).l0.twin(.separate),
    row(0xdd, "aesenclast", .vdq.rw, .wdq).p66.needs(.aes).l0.twin(.separate),
    row(0xde, "aesdec", .vdq.rw, .wdq).p66.needs(.aes).l0.twin(.separate),
    row(0xdf, "aesdeclast", .vdq.rw, .wdq).p66.needs(.aes).l0.twin(.separate),
  ]

  static let map3A: [OpcodeRow] = [
    row(0x08, "roundps", .vx.w, .wx, .ib).p66.needs(.sse41).twin(.same),
    row(0x09, "roundpd", .vx.w, .wx, .ib).p66.needs(.sse41).twin(.same),
    row(0x0a, "roundss", .vdq.rw, .wd, .ib).p66.needs(.sse41).twin(.separate),
    row(0x0b, "roundsd", .vdq.rw, .wq, .ib).p66.needs(.sse41).twin(.separate),
    row(0x0c, "blendps", .vx.rw, .wx, .ib).p66.needs(.sse41).twin(.separate),
    row(0x0d, "blendpd", .vx.rw, .wx, .ib).p66.needs(.sse41).twin(.separate),
    row(0x0e, "pblendw", .vx.rw, .wx, .ib).p66.needs(.sse41).twin(.separate, long: .avx2),
    row(0x0f, "palignr", .pq.rw, .qq, .ib).np.needs(.ssse3),
    row(0x0f, "palignr", .vx.rw, .wx, .ib).p66.needs(.ssse3).twin(.separate, long: .avx2),
    row(0x14, "pextrb", .general(.b4, memory: .b1).w, .vdq, .ib)
      .p66.needs(.sse41).l0.twin(.same),
    row(0x15, "pextrw", .general(.b4, memory: .b2).w, .vdq, .ib)
      .p66.needs(.sse41).l0.twin(.same),
    row(0x16, "pextrd/pextrd/pextrq", .ey.w, .vdq, .ib).p66.needs(.sse41).l0.twin(.same),
    row(0x17, "extractps", .ed.w, .vdq, .ib).p66.needs(.sse41).l0.twin(.same),
    row(0x20, "pinsrb", .vdq.rw, .general(.b4, memory: .b1), .ib)
      .p66.needs(.sse41).l0.twin(.separate),
    row(0x21, "insertps", .vdq.rw, .wd, .ib).p66.needs(.sse41).l0.twin(.separate),
    row(0x22, "pinsrd/pinsrd/pinsrq", .vdq.rw, .ey, .ib).p66.needs(.sse41).l0.twin(.separate),
    row(0x40, "dpps", .vx.rw, .wx, .ib).p66.needs(.sse41).twin(.separate),
    row(0x41, "dppd", .vdq.rw, .wdq, .ib).p66.needs(.sse41).l0.twin(.separate),
    row(0x42, "mpsadbw", .vx.rw, .wx, .ib).p66.needs(.sse41).twin(.separate, long: .avx2),
    row(0x44, "pclmulqdq", .vdq.rw, .wdq, .ib).p66.needs(.pclmulqdq).l0.twin(.separate),
    row(0xcc, "sha1rnds4", .vdq.rw, .wdq, .ib).np.needs(.sha),
    row(0xdf, "aeskeygenassist", .vdq.w, .wdq, .ib).p66.needs(.aes).l0.twin(.same),
    row(0x60, "pcmpestrm", .vdq, .wdq, .raxY.hidden, .rdxY.hidden).trailingByte
      .p66.needs(.sse42).flags(.all).l0.twin(.same),
    row(0x61, "pcmpestri", .vdq, .wdq, .raxY.hidden, .rdxY.hidden).trailingByte
      .p66.needs(.sse42).flags(.all).does(.compareStringsIndex).l0.twin(.same),
    row(0x62, "pcmpistrm", .vdq, .wdq, .ib, .xmm0.w.hidden)
      .p66.needs(.sse42).flags(.all).l0.twin(.same),
    row(0x63, "pcmpistri", .vdq, .wdq, .ib, .ecx.w.hidden)
      .p66.needs(.sse42).flags(.all).does(.compareStringsIndex).l0.twin(.same),
  ]
}
