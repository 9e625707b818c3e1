import Engine
import Foundation
import GuestMemory
import X86

/// No devices; a guest that does not halt is stopped when it has been asked for attention twice.
final class RecordedEnvironment: ProcessorEnvironment {
  var attentions = 0
  var taskPriority: UInt8 = 0
  var wantsToStop: Bool {
    attentions += 1
    return attentions > 2
  }

  func readPort(_ port: UInt16, size: Int) -> UInt32 { 0xffff_ffff }
  func writePort(_ port: UInt16, value: UInt32, size: Int) {}
  func readMemory(_ address: UInt64, size: Int) -> UInt64 { .max }
  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {}
  func readModelSpecific(_ number: UInt32) -> UInt64? { nil }
  func writeModelSpecific(_ number: UInt32, value: UInt64) -> Bool { false }
  func identify(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
    CPUIDResult(eax: 0, ebx: 0, ecx: 0, edx: 0)
  }
  func acknowledgeInterrupt() -> UInt8? { nil }
}

/// A processor in real mode with 16 MiB, for cases recorded from a real one.
final class RecordedRunner {
  private let memory: GuestMemory
  private let environment = RecordedEnvironment()
  private let processor: Processor
  private let ringer: Thread

  init() throws {
    memory = try GuestMemory(size: 16 << 20)
    processor = try Processor(memory: memory, environment: environment, features: .all)
    let doorbell = processor.doorbell
    // The doorbell is a word of the processor's, which must be there until the last ring.
    nonisolated(unsafe) let kept = processor
    ringer = Thread {
      while !Thread.current.isCancelled {
        usleep(100_000)
        withExtendedLifetime(kept) { doorbell.ring() }
      }
    }
    ringer.start()
  }

  deinit { ringer.cancel() }

  static let generalNames = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
  static let segmentNames: [(String, SegmentName)] = [
    ("es", .es), ("cs", .cs), ("ss", .ss), ("ds", .ds),
  ]
  /// IOPL, NT and bit 15 are fixed in the 286's real mode; the bits that are always so.
  private static let comparedFlags: UInt16 = 0x0fd5

  /// Runs a case; what differs, if anything. `defined` are the flags that count.
  func run(
    _ test: RecordedCase, defined: UInt16, _ known: RecordedDifferences
  ) throws -> [String] {
    var test = test
    if known.isStackFault {
      let vector = test.initial.ram.filter { 52..<56 ~= $0[0] }
      test.initial.ram += vector.map { [$0[0] - 4, $0[1]] }
    }
    if known.lockIsUndefined { expectUndefined(&test) }
    try load(test)
    environment.attentions = 0
    defer { clear(test) }
    let reason = processor.runGuest()
    guard reason == .halted else { return ["ended with \(reason)"] }
    let flags = known.overflowIsUndefined ? defined & ~0x800 : defined
    return registerDifferences(test, flags, known) + (try memoryDifferences(test, flags))
  }

  /// Has the case end with an invalid-opcode exception, at a HLT that vector 6 leads to.
  private func expectUndefined(_ test: inout RecordedCase) {
    let before = test.initial.regs
    func value(_ name: String) -> UInt16 { before[name] ?? 0 }
    let handler: UInt16 = 0x300
    test.initial.ram += [[24, 0], [25, UInt32(handler >> 8)], [26, 0], [27, 0]]
    test.initial.ram.append([UInt32(handler), 0xf4])
    let frame = [value("ip"), value("cs"), value("flags") & 0xfff | 2]
    let top = value("sp") &- 6
    test.final.ram = []
    for (index, word) in frame.enumerated() {
      let place = UInt32(value("ss")) << 4 + UInt32(top &+ UInt16(2 * index))
      test.final.ram += [[place, UInt32(word & 0xff)], [place + 1, UInt32(word >> 8)]]
    }
    let flags = value("flags") & ~0x300
    test.final.regs = ["sp": top, "cs": 0, "ip": handler + 1, "flags": flags]
    test.exception = nil
  }

  private func load(_ test: RecordedCase) throws {
    processor.cpu = CPUState()
    let registers = test.initial.regs
    for (index, name) in Self.generalNames.enumerated() {
      processor.cpu.registers[index] = UInt64(registers[name] ?? 0)
    }
    for (text, name) in Self.segmentNames {
      let selector = registers[text] ?? 0
      processor.cpu[name] = SegmentRegister(
        base: UInt64(selector) << 4, limit: 0xffff, selector: selector,
        attributes: SegmentAttributes(rawValue: 0x93))
    }
    processor.cpu.interruptTable = DescriptorTable(base: 0, limit: 0x3ff)
    processor.cpu.instructionPointer = UInt64(registers["ip"] ?? 0)
    processor.cpu.flags = RFLAGS(rawValue: UInt64((registers["flags"] ?? 0) & 0xfff) | 2)
    for pair in test.initial.ram {
      try memory.store(UInt8(truncatingIfNeeded: pair[1]), at: UInt64(pair[0]))
    }
    processor.stateWasReplaced()
    for pair in test.initial.ram { processor.group.memoryChanged(at: UInt64(pair[0]), count: 1) }
  }

  private func clear(_ test: RecordedCase) {
    for pair in test.initial.ram + test.final.ram {
      try? memory.store(UInt8(0), at: UInt64(pair[0]))
      processor.group.memoryChanged(at: UInt64(pair[0]), count: 1)
    }
  }

  private func registerDifferences(
    _ test: RecordedCase, _ defined: UInt16, _ known: RecordedDifferences
  ) -> [String] {
    var found: [String] = []
    func compare(_ name: String, _ actual: UInt64, mask: UInt16 = .max) {
      let wanted = (test.final.regs[name] ?? test.initial.regs[name] ?? 0) & mask
      if UInt64(wanted) != actual & (UInt64(mask) | ~0xffff) {
        found.append(
          "\(name): recorded \(String(wanted, radix: 16)), engine \(String(actual, radix: 16))")
      }
    }
    for (index, name) in Self.generalNames.enumerated()
    where !(known.advancesBeforeFault && [1, 6, 7].contains(index)) {
      compare(name, processor.cpu.registers[index])
    }
    for (text, name) in Self.segmentNames { compare(text, UInt64(processor.cpu[name].selector)) }
    // The HLT may be the segment's last byte: later processors have more bits to count on with.
    let pointer = processor.cpu.instructionPointer
    compare("ip", pointer == 0x10000 ? 0 : pointer)
    compare("flags", processor.cpu.flags.rawValue, mask: Self.comparedFlags & defined)
    return found
  }

  private func memoryDifferences(_ test: RecordedCase, _ defined: UInt16) throws -> [String] {
    var wanted: [UInt32: UInt8] = [:]
    for pair in test.initial.ram + test.final.ram { wanted[pair[0]] = UInt8(pair[1]) }
    var found: [String] = []
    for (address, byte) in wanted.sorted(by: { $0.key < $1.key }) {
      let actual = try memory.load(UInt8.self, at: UInt64(address))
      if (actual ^ byte) & compared(address, test, defined) != 0 {
        found.append(
          "[\(String(address, radix: 16))]: recorded \(String(byte, radix: 16)), "
            + "engine \(String(actual, radix: 16))")
      }
    }
    return found
  }

  /// The bits of a byte in memory that count: not all, where it is of the flags pushed.
  private func compared(_ address: UInt32, _ test: RecordedCase, _ defined: UInt16) -> UInt8 {
    guard test.exception != nil else { return 0xff }
    let (stack, pointer) = (test.initial.regs["ss"] ?? 0, test.final.regs["sp"] ?? 0)
    let flags = UInt32(stack) << 4 + UInt32(pointer &+ 4)
    let mask = Self.comparedFlags & defined
    if address == flags { return UInt8(truncatingIfNeeded: mask) }
    return address == flags + 1 ? UInt8(mask >> 8) : 0xff
  }
}
