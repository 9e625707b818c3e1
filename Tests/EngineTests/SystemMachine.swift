import Engine
import GuestMemory
import X86

/// A bus without devices, which remembers what was asked of it.
final class FakeEnvironment: ProcessorEnvironment {
  var ports: [UInt16: UInt32] = [:]
  var portWrites: [PortWrite] = []
  var deviceMemory: [UInt64: UInt8] = [:]
  var modelSpecific: [UInt32: UInt64] = [:]
  var taskPriority: UInt8 = 0
  var vendor: UInt32 = 0x6874_7541

  struct PortWrite: Equatable {
    var port: UInt16
    var value: UInt32
    var size: Int
  }

  func readPort(_ port: UInt16, size: Int) -> UInt32 { ports[port] ?? 0xffff_ffff }
  func writePort(_ port: UInt16, value: UInt32, size: Int) {
    portWrites.append(PortWrite(port: port, value: value, size: size))
  }
  func readMemory(_ address: UInt64, size: Int) -> UInt64 {
    (0..<UInt64(size)).reduce(0) { $0 | UInt64(deviceMemory[address + $1] ?? 0xff) << (8 * $1) }
  }
  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {
    for index in 0..<UInt64(size) {
      deviceMemory[address + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }
  func readModelSpecific(_ number: UInt32) -> UInt64? { modelSpecific[number] }
  func writeModelSpecific(_ number: UInt32, value: UInt64) -> Bool {
    guard modelSpecific[number] != nil else { return false }
    modelSpecific[number] = value
    return true
  }
  func identify(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    switch leaf {
    case 0: CPUIDResult(eax: 0xd, ebx: vendor, ecx: 0, edx: 0)
    case 1: CPUIDResult(eax: 0, ebx: 0, ecx: 0x0402_0000, edx: 0x0300_205e)
    case 7: CPUIDResult(eax: 0, ebx: 0x0010_0081, ecx: 4, edx: 0)
    case 0xd where subleaf == 0: CPUIDResult(eax: 7, ebx: 0, ecx: 832, edx: 0)
    case 0xd: CPUIDResult(eax: 0xf, ebx: 0, ecx: 0, edx: 0)
    case 0x8000_0001: CPUIDResult(eax: 0, ebx: 0, ecx: 0, edx: 0x2010_0800)
    default: CPUIDResult(eax: 0, ebx: 0, ecx: 0, edx: 0)
    }
  }
  func acknowledgeInterrupt() -> UInt8? { nil }
  func hypercall(_ call: Hypercall) -> UInt64? {
    call.number == 5 ? call.arguments[0] + call.arguments[3] + UInt64(call.privilege) : nil
  }
}

/// Selectors in the test machine's global table.
enum Selector {
  static let kernelCode: UInt16 = 0x08
  static let kernelData: UInt16 = 0x10
  static let userCode32: UInt16 = 0x1b
  static let userData: UInt16 = 0x23
  static let userCode: UInt16 = 0x2b
  static let task: UInt16 = 0x30  // 16 bytes
  static let kernelCode32: UInt16 = 0x40
  static let spare: UInt16 = 0x48
}

/// A processor in long mode with tables, an identity map of the first 2 MiB for the supervisor,
/// and a window of pages at ``window`` that tests map as they like.
struct SystemMachine {
  static let window: UInt64 = 0x4000_0000
  static let globalTable: UInt64 = 0x1000
  static let interruptTable: UInt64 = 0x2000
  static let task: UInt64 = 0x3000
  static let root: UInt64 = 0x10000
  static let entries: UInt64 = 0x14000
  static let stackTop: UInt64 = 0x9000
  static let handler: UInt64 = 0x7000

  let environment = FakeEnvironment()
  let memory: GuestMemory
  let processor: Processor
  var cpu: CPUState {
    get { processor.cpu }
    nonmutating set { processor.cpu = newValue }
  }

  init() throws {
    memory = try GuestMemory(size: 8 << 20)
    processor = try Processor(memory: memory, environment: environment, features: .all)
    try buildPageTables()
    try buildDescriptors()
    processor.cpu.cr0 = [.protection, .extensionType, .writeProtect, .paging, .numericError]
    processor.cpu.cr3 = SystemMachine.root
    processor.cpu.cr4 = [.physicalAddressExtension, .fxsr, .simdExceptions, .xsave, .globalPages]
    processor.cpu.efer = [.systemCall, .longModeEnable, .longModeActive, .noExecute]
    processor.cpu.xcr0 = 7
    enterKernel()
  }

  private func buildPageTables() throws {
    let root = SystemMachine.root
    try memory.store(root + 0x1000 | 7, at: root)
    try memory.store(root + 0x2000 | 7, at: root + 0x1000)
    try memory.store(root + 0x3000 | 7, at: root + 0x1008)
    try memory.store(UInt64(0x83), at: root + 0x2000)
    try memory.store(SystemMachine.entries | 7, at: root + 0x3000)
  }

  private func buildDescriptors() throws {
    let table: [UInt64] = [
      0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff,
      0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0x0000_8900_3000_0067, 0,
      0x00cf_9b00_0000_ffff, 0,
    ]
    for (index, entry) in table.enumerated() {
      try memory.store(entry, at: SystemMachine.globalTable + UInt64(index) * 8)
    }
    processor.cpu.globalTable = DescriptorTable(base: SystemMachine.globalTable, limit: 0x4f)
    processor.cpu.interruptTable = DescriptorTable(
      base: SystemMachine.interruptTable, limit: 0xfff)
    processor.cpu[.task] = SegmentRegister(
      base: SystemMachine.task, limit: 0x67, selector: Selector.task,
      attributes: SegmentAttributes(rawValue: 0x8b))
    try memory.store(SystemMachine.stackTop, at: SystemMachine.task + 4)
    try memory.store(UInt64(0xa000), at: SystemMachine.task + 0x24)
  }

  /// 64-bit code at level 0.
  func enterKernel() {
    processor.cpu.privilege = 0
    processor.cpu[.cs] = segment(0, 0xa09b, Selector.kernelCode)
    processor.cpu[.ss] = segment(0, 0xc093, Selector.kernelData)
    processor.cpu.registers[4] = 0x8000
    processor.cpu.instructionPointer = 0x5000
  }

  /// 64-bit code at level 3, with its stack in the window's first page.
  func enterUser() throws {
    try map(0, to: 0x100000, flags: 7)
    processor.cpu.privilege = 3
    processor.cpu[.cs] = segment(0, 0xa0fb, Selector.userCode)
    processor.cpu[.ss] = segment(0, 0xc0f3, Selector.userData)
    processor.cpu.registers[4] = SystemMachine.window + 0x1000
    processor.cpu.instructionPointer = 0x40_1000
  }

  /// 32-bit protected mode without paging, level 0, flat.
  func enterProtected() {
    processor.cpu.cr0 = [.protection, .extensionType]
    processor.stateWasReplaced()
    processor.cpu.efer = []
    processor.cpu.privilege = 0
    processor.cpu[.cs] = segment(0, 0xc09b, Selector.kernelCode32)
    for name in [SegmentName.ss, .ds, .es] {
      processor.cpu[name] = segment(0, 0xc093, Selector.kernelData)
    }
    processor.cpu.registers[4] = 0x8000
    processor.cpu.instructionPointer = 0x5000
  }

  /// Real mode, as after a reset but at 0x5000.
  func enterReal() {
    processor.cpu.cr0 = [.extensionType]
    processor.stateWasReplaced()
    processor.cpu.efer = []
    processor.cpu.privilege = 0
    processor.cpu.interruptTable = DescriptorTable(base: 0, limit: 0x3ff)
    for name in [SegmentName.cs, .ss, .ds, .es] {
      processor.cpu[name] = SegmentRegister(
        base: 0, limit: 0xffff, selector: 0, attributes: SegmentAttributes(rawValue: 0x93))
    }
    processor.cpu.registers[4] = 0x8000
    processor.cpu.instructionPointer = 0x5000
  }

  func segment(_ base: UInt64, _ attributes: UInt16, _ selector: UInt16) -> SegmentRegister {
    SegmentRegister(
      base: base, limit: 0xffff_ffff, selector: selector,
      attributes: SegmentAttributes(rawValue: attributes))
  }

  /// Maps a page of the window.
  func map(_ page: Int, to physical: UInt64, flags: UInt64) throws {
    try memory.store(physical | flags, at: SystemMachine.entries + UInt64(page) * 8)
    processor.stateWasReplaced()
  }

  /// The entry of a page of the window.
  func entry(_ page: Int) throws -> UInt64 {
    try memory.load(UInt64.self, at: SystemMachine.entries + UInt64(page) * 8)
  }

  /// Puts a long-mode gate into the interrupt table.
  func setGate(
    _ vector: Int, attributes: UInt64 = 0x8e, stackTable: UInt64 = 0,
    selector: UInt16 = Selector.kernelCode, offset: UInt64 = SystemMachine.handler
  ) throws {
    let low =
      (offset & 0xffff) | UInt64(selector) << 16 | stackTable << 32 | attributes << 40
      | (offset >> 16 & 0xffff) << 48
    let place = SystemMachine.interruptTable + UInt64(vector) * 16
    try memory.store(low, at: place)
    try memory.store(offset >> 32, at: place + 8)
  }

  /// The quadwords at the stack pointer.
  func stack(_ count: Int) throws -> [UInt64] {
    try (0..<count).map {
      try memory.load(UInt64.self, at: processor.cpu.registers[4] + UInt64($0) * 8)
    }
  }

  /// Runs an instruction; the fault it ends in, if any.
  @discardableResult
  func run(_ instruction: Instruction) -> GuestFault? {
    do {
      outcome.last = try processor.execute(instruction)
      return nil
    } catch {
      return error
    }
  }

  /// How the last instruction that did not fault ended.
  let outcome = LastOutcome()
  final class LastOutcome { var last = Outcome.next }
}

extension Outcome {
  var isJump: Bool { if case .jumped = self { true } else { false } }
  var isNewMode: Bool { if case .nextInNewMode = self { true } else { false } }
  var stopReason: StopReason? { if case .stop(let reason) = self { reason } else { nil } }
}

/// An instruction of two bytes, 64-bit operands and addresses.
func instruction(
  _ operation: Operation, _ change: (inout Instruction) -> Void = { _ in }
) -> Instruction {
  var result = Instruction()
  result.operation = operation
  result.length = 2
  result.operandSize = 8
  result.addressSize = 8
  change(&result)
  return result
}

extension Instruction {
  /// A memory operand at an absolute address.
  mutating func setMemory(at address: UInt64) {
    hasMemory = true
    displacement = Int64(bitPattern: address)
  }
  mutating func setOperand(_ index: Int, _ kind: OperandKind, _ number: UInt8, size: UInt8 = 8) {
    operands[index] = Operand(
      kind: kind, place: kind == .general ? .modRMMemory : .modRMRegister, access: .readWrite,
      number: number, size: size)
  }
}
