import Bits

/// What a device occupies, as the guest's operating system learns it.
///
/// Reference: ACPI specification 6.5, section 6.4.
extension AML {
  /// `ResourceTemplate () { … }`
  static func resources(_ descriptors: [AML]) -> AML {
    let content = descriptors.flatMap(\.bytes) + [0x79, 0]
    return AML([0x11] + measured(integer(UInt32(content.count)).bytes + content))
  }

  /// `IO (Decode16, base, base, 1, count)`
  static func ports(_ base: UInt16, count: UInt8) -> AML {
    var bytes: [UInt8] = [0x47, 1]
    bytes.append(little: base)
    bytes.append(little: base)
    return AML(bytes + [1, count])
  }

  /// `IRQNoFlags () { line }`: edge-triggered, active high.
  static func interrupt(_ line: UInt8) -> AML {
    var bytes: [UInt8] = [0x22]
    bytes.append(little: UInt16(1) << UInt16(line & 0xf))
    return AML(bytes)
  }

  /// `Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { line }`
  static func levelInterrupt(_ line: UInt32) -> AML {
    var bytes: [UInt8] = [0x89, 6, 0, 0b1001, 1]
    bytes.append(little: line)
    return AML(bytes)
  }

  /// `Memory32Fixed (ReadWrite, base, size)`
  static func memory(_ range: Range<UInt64>) -> AML {
    var bytes: [UInt8] = [0x86, 9, 0, 1]
    bytes.append(little: UInt32(range.lowerBound))
    bytes.append(little: UInt32(range.upperBound - range.lowerBound))
    return AML(bytes)
  }

  /// What a bridge passes on.
  enum Space: UInt8 {
    case memory = 0
    case ports = 1
    case buses = 2

    /// Writable memory, the whole range of ports, nothing to say of buses.
    fileprivate var flags: UInt8 {
      switch self {
      case .memory: 1
      case .ports: 3
      case .buses: 0
      }
    }
  }

  /// `WordIO`, `DWordMemory`, `QWordMemory` and so on: a range that a bridge passes on (it is their
  /// producer), in numbers of a given size.
  static func range<Number: FixedWidthInteger>(
    _ space: Space, _ range: Range<UInt64>, _ type: Number.Type
  ) -> AML {
    let tags: [Int: UInt8] = [16: 0x88, 32: 0x87, 64: 0x8a]
    guard let tag = tags[Number.bitWidth] else { preconditionFailure("no such descriptor") }
    let fixedBounds: UInt8 = 0b1100
    var bytes: [UInt8] = [tag, UInt8(3 + 5 * Number.bitWidth / 8), 0]
    bytes += [space.rawValue, fixedBounds, space.flags]
    let size = range.upperBound - range.lowerBound
    for number in [0, range.lowerBound, range.upperBound - 1, 0, size] {
      bytes.append(little: Number(number))
    }
    return AML(bytes)
  }
}
