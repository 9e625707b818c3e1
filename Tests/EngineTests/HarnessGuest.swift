import CNative
import Engine
import GuestMemory
import X86

/// The machine around a harness guest: no devices; interrupts as the test queues them.
final class HarnessEnvironment: ProcessorEnvironment {
  var output: [UInt8] = []
  var interrupts: [UInt8] = []
  var wantsToStop = false
  var taskPriority: UInt8 = 0
  /// What writing to a port computes, for devices that use floating point.
  var ratio = 0.0
  var divisor = 3.0
  var deviceMemory: [UInt64: UInt8] = [:]
  func readPort(_ port: UInt16, size: Int) -> UInt32 { 0x1234_5678 }
  func writePort(_ port: UInt16, value: UInt32, size: Int) {
    ratio = 1 / divisor
    for index in 0..<size { output.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }
  func readMemory(_ address: UInt64, size: Int) -> UInt64 {
    (0..<UInt64(size)).reduce(0) { $0 | UInt64(deviceMemory[address + $1] ?? 0xff) << (8 * $1) }
  }
  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {
    for index in 0..<UInt64(size) {
      deviceMemory[address + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }
  func readModelSpecific(_ number: UInt32) -> UInt64? { nil }
  func writeModelSpecific(_ number: UInt32, value: UInt64) -> Bool { false }
  func identify(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    // Leaves 1 and 7 offer everything that they can: SMEP, SMAP and so on.
    let features: UInt32 = leaf == 1 || leaf == 7 ? .max : 0
    return CPUIDResult(eax: leaf, ebx: features, ecx: features, edx: features)
  }
  func acknowledgeInterrupt() -> UInt8? { interrupts.isEmpty ? nil : interrupts.removeFirst() }
}

/// A processor in long mode with a little memory, laid out as the native child has it.
///
/// Each of the 256 vectors leads to a stub that halts, so that a run ends with every exception;
/// the stub goes on with IRET, so that the run can go on.
final class GuestMachine {
  static let kernel: UInt64 = 0xffff_8000_0000_0000
  static let tables: UInt64 = 0x1000
  static let descriptors: UInt64 = 0x9000
  static let gates: UInt64 = 0xa000
  static let task: UInt64 = 0xb000
  static let stubs: UInt64 = 0x10000
  static let stackTop: UInt64 = 0x20000
  static let dataTable: UInt64 = 0x6000
  static let code: UInt64 = 0x80_0000
  /// Where the data pages are in physical memory: apart, and not in order.
  static let data: [UInt64] = [0x40_2000, 0x40_0000, 0x40_5000]

  let memory: GuestMemory
  let environment = HarnessEnvironment()
  let processor: Processor

  init() throws {
    memory = try GuestMemory(size: 16 << 20)
    processor = try Processor(memory: memory, environment: environment, features: .all)
    try buildTables()
    try buildDescriptors()
    try buildHandlers()
    try memory.write([UInt8](repeating: 0xcc, count: Int(NATIVE_CODE_SIZE)), at: Self.code)
    setControl()
  }

  private func buildTables() throws {
    let link: UInt64 = 7
    let base = Self.tables
    try memory.store(base + 0x1000 | link, at: base)
    try memory.store(base + 0x6000 | link, at: base + 256 * 8)
    try memory.store(base + 0x2000 | link, at: base + 0x1000)
    for half in 0..<UInt64(2) {
      let table = base + 0x3000 + half * 0x1000
      try memory.store(table | link, at: base + 0x2000 + (128 + half) * 8)
      for page in 0..<UInt64(512) {
        try memory.store(Self.code + (half * 512 + page) << 12 | link, at: table + page * 8)
      }
    }
    try memory.store(Self.dataTable | link, at: base + 0x2000 + 256 * 8)
    for page in 0..<3 { try mapData(page) }
    try memory.store(base + 0x7000 | 3, at: base + 0x6000)
    for page in 0..<UInt64(8) {
      try memory.store(page << 21 | 0x83, at: base + 0x7000 + page * 8)
    }
  }

  /// Maps a data page as the native child has it.
  func mapData(_ page: Int) throws {
    let rights: UInt64 = page == 2 ? 5 : 7
    try memory.store(
      Self.data[page] | rights | 1 << 63, at: Self.dataTable + UInt64(page) * 8)
  }

  private func buildDescriptors() throws {
    let rows: [UInt64] = [
      0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0x00cf_fb00_0000_ffff,
      0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff,
    ]
    for (index, row) in rows.enumerated() {
      try memory.store(row, at: Self.descriptors + UInt64(index) * 8)
    }
    try memory.store(Self.kernel + Self.stackTop, at: Self.task + 4)
    try memory.store(UInt16(0x68), at: Self.task + 0x66)  // no I/O permission map
  }

  private func buildHandlers() throws {
    for vector in 0..<UInt64(256) {
      let stub = Self.stubs + vector * 16
      let hasError = ExceptionVector(rawValue: UInt8(vector))?.hasErrorCode ?? false
      // hlt; add rsp, 8; iretq
      try memory.write(
        [0xf4] + (hasError ? [0x48, 0x83, 0xc4, 0x08] : []) + [0x48, 0xcf], at: stub)
      let address = Self.kernel + stub
      let privilege: UInt64 = vector == 3 || vector == 4 || vector == 0x81 ? 3 : 0
      let low =
        address & 0xffff | 8 << 16 | (0x8e | privilege << 5) << 40 | (address >> 16 & 0xffff) << 48
      try memory.store(low, at: Self.gates + vector * 16)
      try memory.store(address >> 32, at: Self.gates + vector * 16 + 8)
    }
  }

  private func setControl() {
    processor.cpu.cr3 = Self.tables
    processor.cpu.cr0 = [
      .protection, .paging, .extensionType, .writeProtect, .numericError,
      .monitorCoprocessor,
    ]
    processor.cpu.cr4 = [.physicalAddressExtension, .fxsr, .simdExceptions, .xsave]
    processor.cpu.xcr0 = 7
    processor.cpu.efer = [.longModeEnable, .longModeActive, .noExecute, .systemCall]
    processor.cpu.globalTable = DescriptorTable(base: Self.kernel + Self.descriptors, limit: 0x7f)
    processor.cpu.interruptTable = DescriptorTable(base: Self.kernel + Self.gates, limit: 0xfff)
    processor.cpu[.task] = SegmentRegister(
      base: Self.kernel + Self.task, limit: 0x67, selector: 0x40,
      attributes: .init(rawValue: 0x008b))
  }

  /// Where guest-physical memory is in this process.
  func host(_ address: UInt64, count: Int) -> UnsafeMutableRawBufferPointer {
    guard let start = memory.hostAddress(of: address, count: count) else {
      preconditionFailure("the harness uses memory that it does not have")
    }
    return UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  /// Has the processor at privilege level 3, as the native child is.
  func enterUser(compatibility: Bool) {
    let data = SegmentRegister(
      base: 0, limit: .max, selector: 0x2b, attributes: .init(rawValue: 0xc0f3))
    processor.cpu[.cs] = SegmentRegister(
      base: 0, limit: .max, selector: compatibility ? 0x23 : 0x33,
      attributes: .init(rawValue: compatibility ? 0xc0fb : 0xa0fb))
    for name in [SegmentName.ss, .ds, .es] { processor.cpu[name] = data }
    processor.cpu[.fs] = SegmentRegister(
      base: UInt64(NATIVE_FS_BASE), limit: 0, selector: 0, attributes: .init(rawValue: 0))
    processor.cpu[.gs] = SegmentRegister(
      base: UInt64(NATIVE_GS_BASE), limit: 0, selector: 0, attributes: .init(rawValue: 0))
    processor.cpu.privilege = 3
  }

  /// Has the processor at privilege level 0, in 64-bit code.
  func enterKernel() {
    processor.cpu[.cs] = SegmentRegister(
      base: 0, limit: .max, selector: 8, attributes: .init(rawValue: 0xa09b))
    for name in [SegmentName.ss, .ds, .es] {
      processor.cpu[name] = SegmentRegister(
        base: 0, limit: .max, selector: 0x10, attributes: .init(rawValue: 0xc093))
    }
    processor.cpu.privilege = 0
  }

  /// The frame that the last exception pushed, and its vector.
  struct Frame {
    var vector: UInt64
    var errorCode: UInt64
    /// Linear address of the saved RIP; CS, RFLAGS, RSP and SS follow.
    var pointer: UInt64
  }

  /// The frame at the top of the stack, when the processor has halted in a stub.
  func frame() throws -> Frame? {
    let pointer = processor.cpu.instructionPointer &- Self.kernel
    guard pointer > Self.stubs, pointer < Self.stubs + 0x1000 else { return nil }
    let vector = (pointer - Self.stubs) / 16
    let hasError = ExceptionVector(rawValue: UInt8(vector))?.hasErrorCode ?? false
    let stack = processor.cpu.registers[4] &- Self.kernel
    let code = hasError ? try memory.load(UInt64.self, at: stack) : 0
    return Frame(vector: vector, errorCode: code, pointer: stack + (hasError ? 8 : 0))
  }
}
