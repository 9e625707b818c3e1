/// A general register of the host, by its encoding.
enum HostRegister: UInt8, BitwiseCopyable {
  case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15

  /// Where translated code computes addresses; never holds guest state between instructions.
  static let address = HostRegister.r11
  /// The second scratch register, RCX so that JRCXZ can test it without touching the flags.
  static let scratch = HostRegister.rcx
}

/// Where each guest general register lives while translated code runs.
///
/// Identity where possible. The host's RSP stays a valid host stack, since a client's signal
/// handlers run on it, and RCX and R11 are scratch; so guest RSP is in R15, guest RCX in R10, and
/// R10, R11 and R15, which compilers reach for last, stay in the state block.
enum RegisterMap {
  /// The host register of guest register `number`; `nil` when it is in the state block.
  @inline(always)
  static func host(_ number: UInt8) -> HostRegister? {
    switch number {
    case 1: .r10
    case 4: .r15
    case 10, 11, 15: nil
    default: HostRegister(rawValue: number)
    }
  }

  /// Guest register `number` as an operand: its host register, or its slot in the state block.
  static func operand(_ number: UInt8) -> HostOperand {
    host(number).map { .register($0.rawValue) } ?? CodeWriter.slot(number)
  }

  /// Guest registers that have a host register, with it.
  static let resident: [(guest: UInt8, host: HostRegister)] = (0..<16).compactMap { number in
    host(UInt8(number)).map { (UInt8(number), $0) }
  }
}
