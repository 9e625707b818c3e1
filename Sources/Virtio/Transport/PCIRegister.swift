/// The registers that all virtio devices on PCI have in common, by offset.
///
/// Reference: VIRTIO 1.2, section 4.1.4.3, "Common configuration structure layout".
enum PCIRegister: UInt64, CaseIterable {
  case offeredWord = 0
  case offeredFeatures = 4
  case acceptedWord = 8
  case acceptedFeatures = 12
  case configurationVector = 16
  case queueCount = 18
  case status = 20
  case configurationGeneration = 21
  case queueSelect = 22
  case queueSize = 24
  case queueVector = 26
  case queueReady = 28
  case queueNotifyOffset = 30
  case descriptorsLow = 32
  case descriptorsHigh = 36
  case availableLow = 40
  case availableHigh = 44
  case usedLow = 48
  case usedHigh = 52
  case queueNotifyData = 56
  case queueReset = 58

  /// In bytes.
  var width: UInt64 {
    switch self {
    case .status, .configurationGeneration: 1
    case .configurationVector, .queueCount, .queueSelect, .queueSize, .queueVector, .queueReady,
      .queueNotifyOffset, .queueNotifyData, .queueReset:
      2
    default: 4
    }
  }

  /// The register that has the byte at `offset`.
  static func at(_ offset: UInt64) -> PCIRegister? {
    allCases.last { $0.rawValue <= offset && offset < $0.rawValue + $0.width }
  }
}

/// Where the structures are in a virtio device's region of memory.
enum PCILayout {
  static let common: UInt64 = 0x0000
  static let interruptStatus: UInt64 = 0x1000
  static let device: UInt64 = 0x2000
  static let notify: UInt64 = 0x3000
  /// The region's size.
  static let size: UInt64 = 0x4000
  /// Each queue has a double word of its own to notify the device with.
  static let notifyStep: UInt64 = 4
  /// The base address register of the region.
  static let region = 0
  /// The base address register of the messages' table.
  static let messageRegion = 4
}
