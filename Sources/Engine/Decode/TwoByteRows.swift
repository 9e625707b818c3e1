/// The general and system instructions of the 0F, 0F 38 and 0F 3A maps: SDM vol. 2D, tables A-3
/// to A-5. Their vector instructions are in files of their own.
enum TwoByteRows {
  static let all: [OpcodeRow] = general + bits + control + hints

  static let general: [OpcodeRow] = [
    row(0x40, "cmov", .gv.rw, .ev).conditions,
    row(0x90, "set", .eb.w).conditions,
    row(0xaf, "imul", .gv.rw, .ev).flags(.product),
    row(0xb0, "cmpxchg", .eb.rw, .gb, .al.rw.hidden).flags(.all).lock,
    row(0xb1, "cmpxchg", .ev.rw, .gv, .rax.rw.hidden).flags(.all).lock,
    row(0xb6, "movzx", .gv.w, .eb),
    row(0xb7, "movzx", .gv.w, .ew),
    row(0xbe, "movsx", .gv.w, .eb),
    row(0xbf, "movsx", .gv.w, .ew),
    row(0xc0, "xadd", .eb.rw, .gb.rw).flags(.all).lock,
    row(0xc1, "xadd", .ev.rw, .gv.rw).flags(.all).lock,
    row(0xc3, "movnti", .my.w, .gy).np,
    row(0xc8, "bswap", .zv.rw),
    group(0xc7, 1, "cmpxchg8b", .mq.rw, .eax.rw.hidden, .edx.rw.hidden, .ebx.hidden)
      .flags(.zero).does(.compareExchangeWide).lock.w0,
    group(0xc7, 1, "cmpxchg16b", .mdq.rw, .raxY.rw.hidden, .rdxY.rw.hidden, .rbxY.hidden)
      .flags(.zero).does(.compareExchangeWide).lock.w1.only64.needs(.cmpxchg16b),
    group(0xc7, 6, "rdrand", .rv.w).flags(.all).sized.needs(.rdrand),
    group(0xc7, 7, "rdseed", .rv.w).flags(.all).sized.needs(.rdseed),
    group(0xc7, 7, "rdpid", .rm.w).does(.readProcessorID).f3.needs(.rdpid),
  ]

  static let bits: [OpcodeRow] =
    [
      row(0xa4, "shld", .ev.rw, .gv, .ib).flags(.all).counted,
      row(0xa5, "shld", .ev.rw, .gv, .cl).flags(.maybeAll).does(.shiftByCount),
      row(0xac, "shrd", .ev.rw, .gv, .ib).flags(.all).counted,
      row(0xad, "shrd", .ev.rw, .gv, .cl).flags(.maybeAll).does(.shiftByCount),
      row(0xb8, "popcnt", .gv.w, .ev).flags(.all).f3Sized.needs(.popcnt),
      row(0xbc, "tzcnt", .gv.w, .ev).flags(.countZeros).f3Sized.needs(.bmi1),
      row(0xbc, "bsf", .gv.rw, .ev).flags(.scan),
      row(0xbd, "lzcnt", .gv.w, .ev).flags(.countZeros).f3Sized.needs(.lzcnt),
      row(0xbd, "bsr", .gv.rw, .ev).flags(.scan),
    ] + bitTests

  /// BT, BTS, BTR and BTC: with a register offset and a memory operand, the bit may be anywhere.
  private static let bitTests: [OpcodeRow] = [
    row(0xa3, "bt", .ev, .gv).flags(.bitTest).registerForm,
    row(0xa3, "bt", .ev, .gv).flags(.bitTest).memoryForm.does(.bitString),
    row(0xab, "bts", .ev.rw, .gv).flags(.bitTest).registerForm,
    row(0xab, "bts", .ev.rw, .gv).flags(.bitTest).memoryForm.does(.bitString).lock,
    row(0xb3, "btr", .ev.rw, .gv).flags(.bitTest).registerForm,
    row(0xb3, "btr", .ev.rw, .gv).flags(.bitTest).memoryForm.does(.bitString).lock,
    row(0xbb, "btc", .ev.rw, .gv).flags(.bitTest).registerForm,
    row(0xbb, "btc", .ev.rw, .gv).flags(.bitTest).memoryForm.does(.bitString).lock,
    group(0xba, 4, "bt", .ev, .ib).flags(.bitTest),
    group(0xba, 5, "bts", .ev.rw, .ib).flags(.bitTest).lock,
    group(0xba, 6, "btr", .ev.rw, .ib).flags(.bitTest).lock,
    group(0xba, 7, "btc", .ev.rw, .ib).flags(.bitTest).lock,
  ]

  static let control: [OpcodeRow] = [
    row(0x80, "j", .jz).conditions.does(.jumpConditional).force64,
    row(0xa0, "push", .fs).does(.pushSegment).default64,
    row(0xa1, "pop", .fs.w).does(.popSegment).default64,
    row(0xa8, "push", .gs).does(.pushSegment).default64,
    row(0xa9, "pop", .gs.w).does(.popSegment).default64,
    row(0xb2, "lss", .gv.w, .mp, .ss.w.hidden).does(.loadFarPointer),
    row(0xb4, "lfs", .gv.w, .mp, .fs.w.hidden).does(.loadFarPointer),
    row(0xb5, "lgs", .gv.w, .mp, .gs.w.hidden).does(.loadFarPointer),
    row(0x0b, "ud2").does(.undefined),
    row(0xb9, "ud1", .gv.unused, .ev.unused).does(.undefined),
    row(0xff, "ud0", .gv.unused, .ev.unused).does(.undefined),
  ]

  /// Prefetches, and the space that the manual reserves for hints (MPX and CET are in it).
  static let hints: [OpcodeRow] = [
    row(0x0d, "prefetchw", .address).does(.noOperation),
    group(0x18, 0, "prefetchnta", .address).does(.noOperation),
    group(0x18, 1, "prefetcht0", .address).does(.noOperation),
    group(0x18, 2, "prefetcht1", .address).does(.noOperation),
    group(0x18, 3, "prefetcht2", .address).does(.noOperation),
    row(0x18, "nop", .ev.unused).does(.noOperation),
    row(0x19, "nop", .ev.unused).does(.noOperation),
    row(0x1a, "nop", .ev.unused).does(.noOperation),
    row(0x1b, "nop", .ev.unused).does(.noOperation),
    row(0x1c, "nop", .ev.unused).does(.noOperation),
    row(0x1d, "nop", .ev.unused).does(.noOperation),
    group(0x1e, 7, "endbr64").rm(2).does(.noOperation).f3,
    group(0x1e, 7, "endbr32").rm(3).does(.noOperation).f3,
    row(0x1e, "nop", .ev.unused).does(.noOperation),
    row(0x1f, "nop", .ev.unused).does(.noOperation),
  ]

  static let extended38: [OpcodeRow] = [
    row(0x82, "invpcid", .gm, .mdq).does(.invalidateProcessContext).p66.needs(.invpcid),
    row(0xf0, "movbe", .gv.w, .mv).sized.needs(.movbe),
    row(0xf1, "movbe", .mv.w, .gv).sized.needs(.movbe),
    row(0xf0, "crc32", .gy.rw, .eb).f2Sized.needs(.sse42),
    row(0xf1, "crc32", .gy.rw, .ev).f2Sized.needs(.sse42),
    row(0xf6, "adcx", .gy.rw, .ey).reads(.carry).writes(.carry).p66.needs(.adx),
    row(0xf6, "adox", .gy.rw, .ey).reads(.overflow).writes(.overflow).f3.needs(.adx),
  ]
}

extension FlagEffect {
  /// CF is the bit; ZF stays; the others are undefined.
  static let bitTest = FlagEffect(
    written: .carry, maybe: .all.subtracting([.carry, .zero]))
  /// Entries to a handler save the flags, and may change them.
  static let saved = FlagEffect(read: .all, maybe: .all)
}
