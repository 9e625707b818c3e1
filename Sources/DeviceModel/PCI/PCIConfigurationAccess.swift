/// The pair of port registers through which any PC reaches PCI configurations: an address, and a
/// window on the double word there.
///
/// Reference: PCI Local Bus Specification 3.0, section 3.2.2.3.2.
public struct PCIConfigurationPorts: BusDevice {
  private let bus: PCIBus
  /// What answers the accesses to the address register that are not four bytes wide: the reset
  /// register is one of its bytes.
  private let narrow: any BusSlot
  private var address: UInt32 = 0

  public static let ports: Range<UInt64> = 0xcf8..<0xd00
  private static let data: UInt64 = 4

  public init(_ bus: PCIBus, narrow: any BusSlot) { (self.bus, self.narrow) = (bus, narrow) }

  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    if offset < Self.data {
      let isAddress = offset == 0 && width == .double
      return isAddress ? UInt64(address) : narrow.read(offset, width: width)
    }
    guard let (function, place) = target(offset, width) else { return width.mask }
    return bus.read(function, place, width: width)
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    if offset < Self.data {
      if offset == 0, width == .double {
        address = UInt32(truncatingIfNeeded: value) & 0x80ff_fffc
      } else {
        narrow.write(value, to: offset, width: width)
      }
    } else if let (function, place) = target(offset, width) {
      bus.write(function, value, width: width, at: place)
    }
  }

  /// The function and offset that the data window shows; `nil` without one, on another bus, or for
  /// an access that leaves the window.
  private func target(_ offset: UInt64, _ width: AccessWidth) -> (UInt8, Int)? {
    let byte = Int(offset - Self.data)
    guard address >> 31 != 0, address >> 16 & 0xff == 0, byte + width.bytes <= 4 else { return nil }
    return (UInt8(truncatingIfNeeded: address >> 8), Int(address & 0xfc) + byte)
  }
}

/// The same configurations in memory, 4 KiB for each function (ECAM).
///
/// Reference: PCI Express Base Specification 5.0, section 7.2.2.
public struct PCIConfigurationWindow: BusDevice {
  private let bus: PCIBus

  /// One bus of 256 functions.
  public static let size: UInt64 = 256 << 12

  public init(_ bus: PCIBus) { self.bus = bus }

  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    let place = Int(offset & 0xfff)
    guard place % width.bytes == 0, width != .quad else { return width.mask }
    return bus.read(UInt8(truncatingIfNeeded: offset >> 12), place, width: width)
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    let place = Int(offset & 0xfff)
    guard place % width.bytes == 0, width != .quad else { return }
    bus.write(UInt8(truncatingIfNeeded: offset >> 12), value, width: width, at: place)
  }
}
