/// Registers of a local APIC, by their offset in the xAPIC page; x2APIC numbers them offset / 16.
///
/// Reference: SDM vol. 3A, table 11-1.
enum APICRegister: UInt32 {
  case identifier = 0x20
  case version = 0x30
  case taskPriority = 0x80
  case arbitrationPriority = 0x90
  case processorPriority = 0xa0
  case endOfInterrupt = 0xb0
  case remoteRead = 0xc0
  case logicalDestination = 0xd0
  case destinationFormat = 0xe0
  case spuriousVector = 0xf0
  case inService = 0x100
  case triggerMode = 0x180
  case interruptRequest = 0x200
  case errorStatus = 0x280
  case correctedCheck = 0x2f0
  case commandLow = 0x300
  case commandHigh = 0x310
  case timer = 0x320
  case thermal = 0x330
  case performance = 0x340
  case local0 = 0x350
  case local1 = 0x360
  case error = 0x370
  case initialCount = 0x380
  case currentCount = 0x390
  case divide = 0x3e0
  case selfInterrupt = 0x3f0

  /// The register at `offset`; the 256-bit ones take eight offsets.
  init?(offset: UInt32) {
    switch offset {
    case 0x100...0x170: self = .inService
    case 0x180...0x1f0: self = .triggerMode
    case 0x200...0x270: self = .interruptRequest
    default: self.init(rawValue: offset)
    }
  }

  /// The bits of a local vector table entry that software can set; `nil` for other registers.
  var vectorTableMask: UInt32? {
    switch self {
    case .timer: 0x0007_00ff
    case .thermal, .performance, .correctedCheck: 0x0001_07ff
    case .local0, .local1: 0x0001_a7ff
    case .error: 0x0001_00ff
    default: nil
    }
  }

  /// The six entries that every local vector table has.
  static let vectorTable: [6 of APICRegister] = [
    .timer, .thermal, .performance, .local0, .local1, .error,
  ]
}

/// How an interrupt message asks to be taken.
///
/// Reference: SDM vol. 3A, section 11.6.1.
public enum DeliveryMode: UInt8, Sendable, BitwiseCopyable {
  case fixed = 0
  case lowestPriority = 1
  case systemManagement = 2
  case nonMaskable = 4
  case initialize = 5
  case startup = 6
  case external = 7
}

/// An interrupt on its way from an IOAPIC, a device or a processor to local APICs.
public struct InterruptMessage: Hashable, Sendable, BitwiseCopyable {
  /// Whom the message is for, beside its destination field.
  public enum Shorthand: UInt8, Sendable, BitwiseCopyable {
    case none = 0
    case itself
    case all
    case others
  }

  public var vector: UInt8
  public var mode: DeliveryMode
  public var isLevel: Bool
  public var destination: UInt32
  public var isLogical: Bool
  public var shorthand: Shorthand
  /// Whether a processor sent it, whose destination field is as wide as its APIC's mode has it.
  public var isFromProcessor = false

  /// A message with an 8-bit destination, as IOAPICs and devices send it.
  public init(
    vector: UInt8, mode: DeliveryMode, isLevel: Bool, destination: UInt32, isLogical: Bool
  ) {
    (self.vector, self.mode, self.isLevel) = (vector, mode, isLevel)
    (self.destination, self.isLogical) = (destination, isLogical)
    shorthand = .none
  }

  /// A message-signalled interrupt; `nil` when the address is not one of the local APICs'.
  ///
  /// The destination has 8 bits, or 32 with `isExtended`: the upper ones are then the upper half
  /// of the address, as KVM_CAP_X2APIC_API has it.
  /// Reference: SDM vol. 3A, section 11.11.
  public init?(address: UInt64, data: UInt32, isExtended: Bool = false) {
    let low = UInt32(truncatingIfNeeded: address)
    let high = UInt32(truncatingIfNeeded: address >> 32)
    guard low >> 20 == 0xfee, isExtended ? high & 0xff == 0 : high == 0,
      let mode = DeliveryMode(rawValue: UInt8(data >> 8 & 7))
    else { return nil }
    self.init(
      vector: UInt8(data & 0xff), mode: mode, isLevel: data >> 15 & 1 != 0,
      destination: low >> 12 & 0xff | high, isLogical: low >> 2 & 1 != 0)
    // The redirection hint asks for one of the processors named instead of all of them.
    if low >> 3 & 1 != 0, mode == .fixed { self.mode = .lowestPriority }
  }
}
