import CNative
import Engine
import GuestMemory
import Testing
import X86

/// How a run of a harness guest ended: the exception, and what its frame says.
struct GuestEnd: Hashable {
  /// The vector; `nil` when the guest halted by itself.
  var vector: UInt64?
  var errorCode: UInt64 = 0
  /// Offset in the program of the instruction pointer.
  var offset: UInt64
  var flags: UInt64 = 0
}

extension GuestMachine {
  static let codeLinear = UInt64(NATIVE_CODE)
  static let dataLinear = UInt64(NATIVE_DATA)

  /// A machine about to run a program at the start of the code pages.
  convenience init(_ program: [UInt8], user: Bool = true) throws {
    try self.init()
    try memory.write(program, at: Self.code)
    enterUser(compatibility: false)
    processor.cpu.instructionPointer = Self.codeLinear
    processor.cpu.registers[4] = Self.dataLinear + 0x1800
    if !user {
      enterKernel()
      processor.cpu.registers[4] = Self.kernel + Self.stackTop
    }
    processor.cpu.flags = .init(rawValue: 2)
    for page in Self.data { try memory.write([UInt8](repeating: 0, count: 4096), at: page) }
  }

  /// Runs until the guest halts, by itself or in the stub of an exception.
  func run() throws -> GuestEnd {
    let reason = processor.runGuest()
    try #require(reason == .halted)
    guard let frame = try frame() else {
      return GuestEnd(vector: nil, offset: processor.cpu.instructionPointer &- Self.codeLinear)
    }
    return GuestEnd(
      vector: frame.vector, errorCode: frame.errorCode,
      offset: try memory.load(UInt64.self, at: frame.pointer) &- Self.codeLinear,
      flags: try memory.load(UInt64.self, at: frame.pointer + 16))
  }

  /// A general register, by its number in encodings.
  func register(_ number: Int) -> UInt64 { processor.cpu.registers[number] }

  /// Queues an interrupt and calls for attention.
  func interrupt(_ vector: UInt8) {
    environment.interrupts.append(vector)
    processor.doorbell.ring()
  }

  /// The entry that maps a data page.
  func dataEntry(_ page: UInt64) throws -> UInt64 {
    try memory.load(UInt64.self, at: Self.dataTable + page * 8)
  }
}
