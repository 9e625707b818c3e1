/// A guest's call of Hyper-V's interface.
///
/// Reference: Hypervisor Top-Level Functional Specification, "Hypercall Interface".
struct HyperVCall {
  /// The number of the call with all its flags.
  let control: UInt64
  /// The address of the input, or its first eight bytes.
  let input: UInt64
  /// The address of the output, or the input's next eight bytes.
  let output: UInt64

  enum Code: UInt16 {
    case flushAddressSpace = 0x02
    case flushAddressList = 0x03
    case notifyLongSpin = 0x08
    case sendInterrupt = 0x0b
    case flushAddressSpaceExtended = 0x13
    case flushAddressListExtended = 0x14
    case sendInterruptExtended = 0x15
    case postMessage = 0x5c
    case signalEvent = 0x5d
    case postDebugData = 0x69
    case retrieveDebugData = 0x6a
    case resetDebugSession = 0x6b

    /// Whether its input may be in vector registers.
    var takesVectors: Bool {
      switch self {
      case .flushAddressSpace, .flushAddressList, .flushAddressSpaceExtended,
        .flushAddressListExtended, .sendInterruptExtended:
        true
      default: false
      }
    }
  }

  enum Status: UInt64 {
    case success = 0
    case invalidCode = 2
    case invalidInput = 3
    case invalidAlignment = 4
    case invalidParameter = 5
    case accessDenied = 6
    case operationDenied = 8
    case invalidPort = 17
  }

  /// `nil` for a call that there is not.
  var code: Code? { Code(rawValue: UInt16(truncatingIfNeeded: control)) }
  /// Whether the input is in registers.
  var isFast: Bool { control & 1 << 16 != 0 }
  /// The size of the header's variable part, in words of eight bytes.
  var variableCount: Int { Int(control >> 17 & 0x3ff) }
  /// How many elements it is to be done for, and with which it begins.
  var repeatCount: UInt64 { control >> 32 & 0xfff }
  var repeatStart: UInt64 { control >> 48 & 0xfff }
  var isRepeated: Bool { repeatCount != 0 || repeatStart != 0 }

  private static let reserved: UInt64 = 0xf000_f000_f800_0000

  /// Whether the flags fit the call.
  func isWellFormed(_ code: Code) -> Bool {
    guard control & Self.reserved == 0 else { return false }
    return switch code {
    case .flushAddressList: variableCount == 0 && repeatCount != 0 && repeatStart == 0
    case .flushAddressListExtended: repeatCount != 0 && repeatStart == 0
    case .flushAddressSpaceExtended, .sendInterruptExtended: !isRepeated
    case .postDebugData, .retrieveDebugData, .resetDebugSession: true
    default: variableCount == 0 && !isRepeated
    }
  }
}
