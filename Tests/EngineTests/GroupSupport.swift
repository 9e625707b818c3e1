import Engine
import GuestMemory
import Host
import X86

/// What one of several processors is to run: 64-bit code that ends in HLT.
struct GuestThread: Sendable {
  var code: [UInt8]
  var start: UInt64
  /// By number in encoding order.
  var registers: [Int: UInt64]

  init(_ code: [UInt8], at start: UInt64, _ registers: [Int: UInt64] = [:]) {
    (self.code, self.start, self.registers) = (code, start, registers)
  }
}

/// Several processors in long mode on one memory of 16 MiB; 32 MiB are mapped where they are.
final class ProcessorTeam: Sendable {
  let memory: GuestMemory
  let group: ProcessorGroup

  init() throws {
    memory = try GuestMemory(size: 16 << 20)
    group = try ProcessorGroup(memory: memory)
    try memory.mapStart()
  }

  func makeProcessor() throws -> Processor {
    let processor = try Processor(
      group: group, environment: BareEnvironment(), features: .init(rawValue: .max))
    processor.enterLongMode()
    return processor
  }

  /// Runs each on a host thread of its own to its halt; the registers each ends with, or nothing
  /// where it did not halt.
  ///
  /// - Parameter prepare: Called on each thread with its processor before it runs.
  func run(
    _ threads: [GuestThread], prepare: @escaping @Sendable (Processor) -> Void = { _ in }
  ) throws -> [[UInt64]] {
    let ends = Monitor([[UInt64]](repeating: [], count: threads.count))
    for thread in threads { try memory.write(thread.code, at: thread.start) }
    let hosts = try threads.enumerated().map { index, thread in
      try HostThread(named: "guest \(index)") {
        guard let processor = try? self.makeProcessor() else { return }
        for (number, value) in thread.registers { processor.cpu.registers[number] = value }
        processor.cpu.registers[4] = 0x80_0000 + UInt64(index) * 0x1_0000
        processor.cpu.instructionPointer = thread.start
        prepare(processor)
        guard processor.runGuest() == .halted else { return }
        let registers = (0..<16).map { processor.cpu.registers[$0] }
        ends.withLock { $0[index] = registers }
      }
    }
    for host in hosts { host.join() }
    return ends.withLock { $0 }
  }
}
