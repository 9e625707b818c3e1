/// What exists with a VEX prefix only: AVX, AVX2, FMA, F16C, BMI1 and BMI2.
enum VEXRows {
  static let map38: [OpcodeRow] = permutes + broadcasts + masked + fused + generalMap38

  private static let permutes: [OpcodeRow] = [
    vex(0x0c, "permilps", .vx.w, .hx, .wx).w0,
    vex(0x0d, "permilpd", .vx.w, .hx, .wx).w0,
    vex(0x0e, "testps", .vx, .wx).flags(.all).w0,
    vex(0x0f, "testpd", .vx, .wx).flags(.all).w0,
    vex(0x13, "cvtph2ps", .vx.w, .vector(.half)).needs([.avx, .f16c]).w0,
    vex(0x16, "permps", .vx.w, .hx, .wx).needs(.avx2).w0.l1,
    vex(0x36, "permd", .vx.w, .hx, .wx).needs(.avx2).w0.l1,
    vex(0x45, "psrlvd", .vx.w, .hx, .wx).needs(.avx2).w0,
    vex(0x45, "psrlvq", .vx.w, .hx, .wx).needs(.avx2).w1,
    vex(0x46, "psravd", .vx.w, .hx, .wx).needs(.avx2).w0,
    vex(0x47, "psllvd", .vx.w, .hx, .wx).needs(.avx2).w0,
    vex(0x47, "psllvq", .vx.w, .hx, .wx).needs(.avx2).w1,
  ]

  private static let broadcasts: [OpcodeRow] = [
    vex(0x18, "broadcastss", .vx.w, .md).w0,
    vex(0x18, "broadcastss", .vx.w, .udq).needs(.avx2).w0,
    vex(0x19, "broadcastsd", .vx.w, .mq).w0.l1,
    vex(0x19, "broadcastsd", .vx.w, .udq).needs(.avx2).w0.l1,
    vex(0x1a, "broadcastf128", .vx.w, .mdq).w0.l1,
    vex(0x5a, "broadcasti128", .vx.w, .mdq).needs(.avx2).w0.l1,
    vex(0x58, "pbroadcastd", .vx.w, .wd).needs(.avx2).w0,
    vex(0x59, "pbroadcastq", .vx.w, .wq).needs(.avx2).w0,
    vex(0x78, "pbroadcastb", .vx.w, .wb).needs(.avx2).w0,
    vex(0x79, "pbroadcastw", .vx.w, .ww).needs(.avx2).w0,
  ]

  /// Elements whose mask is clear are not accessed and cannot fault: the size is that of all of
  /// them. A gather's is that of one element, at an address of its own.
  private static let masked: [OpcodeRow] = [
    vex(0x2c, "maskmovps", .vx.w, .hx, .mx).w0,
    vex(0x2d, "maskmovpd", .vx.w, .hx, .mx).w0,
    vex(0x2e, "maskmovps", .mx.w, .hx, .vx).w0,
    vex(0x2f, "maskmovpd", .mx.w, .hx, .vx).w0,
    vex(0x8c, "pmaskmovd", .vx.w, .hx, .mx).needs(.avx2).w0,
    vex(0x8c, "pmaskmovq", .vx.w, .hx, .mx).needs(.avx2).w1,
    vex(0x8e, "pmaskmovd", .mx.w, .hx, .vx).needs(.avx2).w0,
    vex(0x8e, "pmaskmovq", .mx.w, .hx, .vx).needs(.avx2).w1,
    vex(0x90, "pgatherdd", .vx.rw, .md, .hx.rw).gathers.w0,
    vex(0x90, "pgatherdq", .vx.rw, .mq, .hx.rw).gathers.w1,
    vex(0x91, "pgatherqd", .vdq.rw, .md, .hdq.rw).gathers.w0,
    vex(0x91, "pgatherqq", .vx.rw, .mq, .hx.rw).gathers.w1,
    vex(0x92, "gatherdps", .vx.rw, .md, .hx.rw).gathers.w0,
    vex(0x92, "gatherdpd", .vx.rw, .mq, .hx.rw).gathers.w1,
    vex(0x93, "gatherqps", .vdq.rw, .md, .hdq.rw).gathers.w0,
    vex(0x93, "gatherqpd", .vx.rw, .mq, .hx.rw).gathers.w1,
  ]

  private static func fusedPacked(
    _ opcode: UInt8, _ ps: StaticString, _ pd: StaticString
  ) -> [OpcodeRow] {
    [
      vex(opcode, ps, .vx.rw, .hx, .wx).needs([.avx, .fma]).w0,
      vex(opcode, pd, .vx.rw, .hx, .wx).needs([.avx, .fma]).w1,
    ]
  }

  /// Packed at `opcode`, scalar at the next.
  private static func fused(
    _ opcode: UInt8, _ ps: StaticString, _ pd: StaticString, _ ss: StaticString, _ sd: StaticString
  ) -> [OpcodeRow] {
    fusedPacked(opcode, ps, pd) + [
      vex(opcode + 1, ss, .vdq.rw, .hdq, .wd).needs([.avx, .fma]).w0,
      vex(opcode + 1, sd, .vdq.rw, .hdq, .wq).needs([.avx, .fma]).w1,
    ]
  }

  private static let fused: [OpcodeRow] =
    fusedPacked(0x96, "fmaddsub132ps", "fmaddsub132pd")
    + fusedPacked(0x97, "fmsubadd132ps", "fmsubadd132pd")
    + fused(0x98, "fmadd132ps", "fmadd132pd", "fmadd132ss", "fmadd132sd")
    + fused(0x9a, "fmsub132ps", "fmsub132pd", "fmsub132ss", "fmsub132sd")
    + fused(0x9c, "fnmadd132ps", "fnmadd132pd", "fnmadd132ss", "fnmadd132sd")
    + fused(0x9e, "fnmsub132ps", "fnmsub132pd", "fnmsub132ss", "fnmsub132sd")
    + fusedPacked(0xa6, "fmaddsub213ps", "fmaddsub213pd")
    + fusedPacked(0xa7, "fmsubadd213ps", "fmsubadd213pd")
    + fused(0xa8, "fmadd213ps", "fmadd213pd", "fmadd213ss", "fmadd213sd")
    + fused(0xaa, "fmsub213ps", "fmsub213pd", "fmsub213ss", "fmsub213sd")
    + fused(0xac, "fnmadd213ps", "fnmadd213pd", "fnmadd213ss", "fnmadd213sd")
    + fused(0xae, "fnmsub213ps", "fnmsub213pd", "fnmsub213ss", "fnmsub213sd")
    + fusedPacked(0xb6, "fmaddsub231ps", "fmaddsub231pd")
    + fusedPacked(0xb7, "fmsubadd231ps", "fmsubadd231pd")
    + fused(0xb8, "fmadd231ps", "fmadd231pd", "fmadd231ss", "fmadd231sd")
    + fused(0xba, "fmsub231ps", "fmsub231pd", "fmsub231ss", "fmsub231sd")
    + fused(0xbc, "fnmadd231ps", "fnmadd231pd", "fnmadd231ss", "fnmadd231sd")
    + fused(0xbe, "fnmsub231ps", "fnmsub231pd", "fnmsub231ss", "fnmsub231sd")

  private static let generalMap38: [OpcodeRow] = [
    vex(0xf2, "andn", .gy.w, .by, .ey).np.needs(.bmi1).flags(.all).l0,
    vexGroup(0xf3, 1, "blsr", .by.w, .ey).np.needs(.bmi1).flags(.all).l0,
    vexGroup(0xf3, 2, "blsmsk", .by.w, .ey).np.needs(.bmi1).flags(.all).l0,
    vexGroup(0xf3, 3, "blsi", .by.w, .ey).np.needs(.bmi1).flags(.all).l0,
    vex(0xf7, "bextr", .gy.w, .ey, .by).np.needs(.bmi1).flags(.all).l0,
    vex(0xf5, "bzhi", .gy.w, .ey, .by).np.needs(.bmi2).flags(.all).l0,
    vex(0xf5, "pext", .gy.w, .by, .ey).f3.needs(.bmi2).l0,
    vex(0xf5, "pdep", .gy.w, .by, .ey).f2.needs(.bmi2).l0,
    vex(0xf6, "mulx", .gy.w, .by.w, .ey, .rdxY.hidden).f2.needs(.bmi2).l0,
    vex(0xf7, "shlx", .gy.w, .ey, .by).p66.needs(.bmi2).l0,
    vex(0xf7, "sarx", .gy.w, .ey, .by).f3.needs(.bmi2).l0,
    vex(0xf7, "shrx", .gy.w, .ey, .by).f2.needs(.bmi2).l0,
  ]

  static let map3A: [OpcodeRow] = [
    vex(0x00, "permq", .vx.w, .wx, .ib).needs(.avx2).w1.l1,
    vex(0x01, "permpd", .vx.w, .wx, .ib).needs(.avx2).w1.l1,
    vex(0x02, "pblendd", .vx.w, .hx, .wx, .ib).needs(.avx2).w0,
    vex(0x04, "permilps", .vx.w, .wx, .ib).w0,
    vex(0x05, "permilpd", .vx.w, .wx, .ib).w0,
    vex(0x06, "perm2f128", .vx.w, .hx, .wx, .ib).w0.l1,
    vex(0x18, "insertf128", .vx.w, .hx, .wdq, .ib).w0.l1,
    vex(0x19, "extractf128", .wdq.w, .vx, .ib).w0.l1,
    vex(0x1d, "cvtps2ph", .vector(.half).w, .vx, .ib).needs([.avx, .f16c]).w0,
    vex(0x38, "inserti128", .vx.w, .hx, .wdq, .ib).needs(.avx2).w0.l1,
    vex(0x39, "extracti128", .wdq.w, .vx, .ib).needs(.avx2).w0.l1,
    vex(0x46, "perm2i128", .vx.w, .hx, .wx, .ib).needs(.avx2).w0.l1,
    vex(0x4a, "blendvps", .vx.w, .hx, .wx, .lx).w0,
    vex(0x4b, "blendvpd", .vx.w, .hx, .wx, .lx).w0,
    vex(0x4c, "pblendvb", .vx.w, .hx, .wx, .lx).long(.avx2).w0,
    vex(0xf0, "rorx", .gy.w, .ey, .ib).f2.needs(.bmi2).l0,
  ]
}

extension OpcodeRow {
  /// VSIB addressing: the index is a vector register.
  fileprivate var gathers: OpcodeRow { needs(.avx2).does(.gather).checked(.gather) }
}
