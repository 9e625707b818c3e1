import Glibc
public import GuestMemory
public import KVM

/// The only device of the smallest guests: port 0xe9, whose bytes go to standard output.
public struct Console: ExitHandler {
  public init() {}

  public func writePort(_ port: UInt16, value: UInt32, size: Int) {
    if port == 0xe9 { Self.write(UInt8(truncatingIfNeeded: value)) }
  }

  public static func write(_ byte: UInt8) {
    _ = unsafe withUnsafeBytes(of: byte) { unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, 1) }
  }

  // Where no device is, reads give ones and writes are lost.
  public func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }
  public func readMemory(_ address: UInt64, size: Int) -> UInt64 { .max }
  public func writeMemory(_ address: UInt64, value: UInt64, size: Int) {}
}

/// Checks what each of the guests leaves behind: it has halted, with 42 in RAX and in [0x400].
public func verify(_ stop: Stop, _ cpu: some VirtualCPU, _ memory: GuestMemory) throws {
  let registers = try cpu.registers()
  guard stop == .halted else {
    throw ExampleFailure("the guest stopped at \(registers.rip): \(stop)")
  }
  let word = try memory.load(UInt16.self, at: 0x400)
  guard registers.rax == 42, word == 42 else {
    throw ExampleFailure("RAX is \(registers.rax) and [0x400] is \(word), not 42")
  }
}
