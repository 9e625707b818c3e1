/// The system instructions of the 0F map: descriptor tables, control registers, fast system calls,
/// extended state.
enum SystemRows {
  static let all: [OpcodeRow] = groups6And7 + registers + state

  static let groups6And7: [OpcodeRow] = [
    group(0x00, 0, "sldt", .general(.v, memory: .b2).w).does(.storeLocalSelector),
    group(0x00, 1, "str", .general(.v, memory: .b2).w).does(.storeLocalSelector),
    group(0x00, 2, "lldt", .ew).does(.loadLocalSelector),
    group(0x00, 3, "ltr", .ew).does(.loadLocalSelector),
    group(0x00, 4, "verr", .ew).flags(.zero).does(.verifySegment),
    group(0x00, 5, "verw", .ew).flags(.zero).does(.verifySegment),
    group(0x01, 0, "sgdt", .memory(.table).w).does(.storeDescriptorTable).force64,
    group(0x01, 1, "sidt", .memory(.table).w).does(.storeDescriptorTable).force64,
    group(0x01, 2, "lgdt", .memory(.table)).does(.loadDescriptorTable).force64,
    group(0x01, 3, "lidt", .memory(.table)).does(.loadDescriptorTable).force64,
    group(0x01, 4, "smsw", .general(.v, memory: .b2).w).does(.storeMachineStatus),
    group(0x01, 6, "lmsw", .ew).does(.loadMachineStatus),
    group(0x01, 7, "invlpg", .address).does(.invalidatePage),
    group(0x01, 0, "vmcall").rm(1).does(.hypercall).np,
    group(0x01, 1, "monitor", .raxA.hidden, .ecx.hidden, .edx.hidden).rm(0).does(.monitor).np.needs(
      .monitor),
    group(0x01, 1, "mwait", .eax.hidden, .ecx.hidden).rm(1).does(.monitorWait).np.needs(.monitor),
    group(0x01, 1, "clac").rm(2).does(.clearAlignment).np.needs(.smap),
    group(0x01, 1, "stac").rm(3).does(.setAlignment).np.needs(.smap),
    group(0x01, 2, "xgetbv", .eax.w.hidden, .edx.w.hidden, .ecx.hidden).rm(0)
      .does(.readExtendedControl).np.needs(.xsave),
    group(0x01, 2, "xsetbv", .eax.hidden, .edx.hidden, .ecx.hidden).rm(1).does(
      .writeExtendedControl
    ).np.needs(.xsave),
    group(0x01, 3, "vmmcall").rm(1).does(.hypercall),
    group(0x01, 7, "swapgs").rm(0).does(.swapSegmentBase).only64,
    group(0x01, 7, "rdtscp", .eax.w.hidden, .edx.w.hidden, .ecx.w.hidden).rm(1)
      .does(.readTimeStampAndProcessor).needs(.rdtscp),
  ]

  static let registers: [OpcodeRow] = [
    row(0x02, "lar", .gv.rw, .ew).flags(.zero).does(.loadAccessRights),
    row(0x03, "lsl", .gv.rw, .ew).flags(.zero).does(.loadSegmentLimit),
    row(0x05, "syscall").flags(.saved).does(.systemCall),
    row(0x06, "clts").does(.clearTaskSwitched),
    row(0x07, "sysret").flags(.all).does(.systemReturn),
    row(0x08, "invd").does(.invalidateCaches),
    row(0x09, "wbinvd").does(.invalidateCaches),
    row(0x20, "mov", .rm.w, .cm).registerAlwaysForm.does(.moveFromControl)
      .checked(.control).force64,
    row(0x21, "mov", .rm.w, .dm).registerAlwaysForm.does(.moveFromDebug)
      .checked(.debug).force64,
    row(0x22, "mov", .cm.w, .rm).registerAlwaysForm.does(.moveToControl)
      .checked(.control).force64,
    row(0x23, "mov", .dm.w, .rm).registerAlwaysForm.does(.moveToDebug)
      .checked(.debug).force64,
    row(0x30, "wrmsr", .eax.hidden, .edx.hidden, .ecx.hidden).does(.writeModelSpecific),
    row(0x31, "rdtsc", .eax.w.hidden, .edx.w.hidden).does(.readTimeStamp),
    row(0x32, "rdmsr", .eax.w.hidden, .edx.w.hidden, .ecx.hidden).does(.readModelSpecific),
    row(0x33, "rdpmc", .eax.w.hidden, .edx.w.hidden, .ecx.hidden).does(.readPerformanceCounter),
    row(0x34, "sysenter").does(.systemEnter),
    row(0x35, "sysexit").does(.systemExit),
    row(0xa2, "cpuid", .eax.rw.hidden, .ecx.rw.hidden, .ebx.w.hidden, .edx.w.hidden).does(
      .identify),
    row(0xaa, "rsm").flags(.all).does(.resumeFromManagement),
  ]

  static let state: [OpcodeRow] = [
    group(0xae, 0, "fxsave", .memory(.b512).w).does(.saveFloating).np,
    group(0xae, 1, "fxrstor", .memory(.b512)).does(.restoreFloating).np,
    group(0xae, 4, "xsave", .memory(.none).rw, .eax.hidden, .edx.hidden).does(.saveExtended).np
      .needs(.xsave),
    group(0xae, 5, "xrstor", .memory(.none), .eax.hidden, .edx.hidden).does(.restoreExtended).np
      .needs(.xsave),
    group(0xae, 6, "xsaveopt", .memory(.none).rw, .eax.hidden, .edx.hidden)
      .does(.saveExtended).np.needs(.xsaveopt),
    group(0xc7, 3, "xrstors", .memory(.none), .eax.hidden, .edx.hidden).does(.restoreExtended).np
      .needs(.xsaves),
    group(0xc7, 4, "xsavec", .memory(.none).w, .eax.hidden, .edx.hidden).does(.saveExtended).np
      .needs(.xsavec),
    group(0xc7, 5, "xsaves", .memory(.none).w, .eax.hidden, .edx.hidden).does(.saveExtended).np
      .needs(.xsaves),
    group(0xae, 7, "clflush", .mb).does(.cacheLineFlush).np,
    group(0xae, 7, "clflushopt", .mb).does(.cacheLineFlush).p66.needs(.clflushopt),
    group(0xae, 6, "clwb", .mb).does(.cacheLineFlush).p66.needs(.clwb),
    group(0xae, 5, "lfence").registerForm.np,
    group(0xae, 6, "mfence").registerForm.np,
    group(0xae, 7, "sfence").registerForm.np,
    group(0xae, 0, "rdfsbase", .ry.w).does(.readSegmentBase).f3.only64.needs(.fsgsbase),
    group(0xae, 1, "rdgsbase", .ry.w).does(.readSegmentBase).f3.only64.needs(.fsgsbase),
    group(0xae, 2, "wrfsbase", .ry).does(.writeSegmentBase).f3.only64.needs(.fsgsbase),
    group(0xae, 3, "wrgsbase", .ry).does(.writeSegmentBase).f3.only64.needs(.fsgsbase),
  ]
}
