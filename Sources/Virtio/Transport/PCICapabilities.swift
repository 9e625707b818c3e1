import DeviceModel

/// The capabilities that say where a virtio device's structures are.
///
/// Reference: VIRTIO 1.2, section 4.1.4, "Virtio Structure PCI Capabilities".
enum PCICapabilities {
  private enum Kind: UInt8 {
    case common = 1
    case notify = 2
    case interruptStatus = 3
    case device = 4
    case window = 5
  }

  static func all(_ slot: any BusSlot) -> [PCICapability] {
    let step = (0..<4).map { UInt8(truncatingIfNeeded: PCILayout.notifyStep >> (8 * $0)) }
    return [
      PCICapability(9, body(.common, PCILayout.common, 64)),
      PCICapability(9, body(.notify, PCILayout.notify, 0x1000, step)),
      PCICapability(9, body(.interruptStatus, PCILayout.interruptStatus, 4)),
      PCICapability(9, body(.device, PCILayout.device, 0x1000)),
      window(slot),
    ]
  }

  /// What follows identifier and link: this capability's length, kind, region, offset, length.
  private static func body(
    _ kind: Kind, _ offset: UInt64, _ length: UInt64, _ extra: [UInt8] = []
  ) -> [UInt8] {
    let numbers = [offset, length].flatMap { number in
      (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
    let head = [UInt8(16 + extra.count), kind.rawValue, UInt8(PCILayout.region), 0, 0, 0]
    return head + numbers + extra
  }

  /// A window on the region within the configuration, for firmware that has not placed it yet: the
  /// guest chooses offset (4 bytes) and length (1, 2 or 4), then accesses the last 4 bytes.
  private static func window(_ slot: any BusSlot) -> PCICapability {
    let data = 14
    var writable = [UInt8](repeating: 0, count: data + 4)
    writable[2] = 0xff
    for place in 6..<writable.count { writable[place] = 0xff }
    var capability = PCICapability(
      PCICapability.vendorSpecific, body(.window, 0, 0, [0, 0, 0, 0]), writable: writable)
    capability.whenAccessed = { body, isWrite in
      let offset = word(body, 6)
      guard body[2] == PCILayout.region, let width = AccessWidth(bytes: Int(word(body, 10))),
        width != .quad, offset < PCILayout.size, offset % UInt64(width.bytes) == 0
      else { return }
      if isWrite {
        slot.write(word(body, data) & width.mask, to: offset, width: width)
      } else {
        let value = UInt32(truncatingIfNeeded: slot.read(offset, width: width))
        for index in 0..<4 {
          body[data + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index))
        }
      }
    }
    capability.accessed = data..<data + 4
    return capability
  }

  private static func word(_ bytes: [UInt8], _ place: Int) -> UInt64 {
    (0..<4).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
  }
}
