/// The registers of a virtio device in memory, by offset.
///
/// Reference: VIRTIO 1.2, section 4.2.2, "MMIO Device Register Layout".
enum MMIORegister: UInt64, CaseIterable {
  case magic = 0x000
  case version = 0x004
  case deviceKind = 0x008
  case vendor = 0x00c
  case offeredFeatures = 0x010
  case offeredWord = 0x014
  case acceptedFeatures = 0x020
  case acceptedWord = 0x024
  case queueSelect = 0x030
  case queueSizeLimit = 0x034
  case queueSize = 0x038
  case queueReady = 0x044
  case queueNotify = 0x050
  case interruptStatus = 0x060
  case interruptAcknowledge = 0x064
  case status = 0x070
  case descriptorsLow = 0x080
  case descriptorsHigh = 0x084
  case availableLow = 0x090
  case availableHigh = 0x094
  case usedLow = 0x0a0
  case usedHigh = 0x0a4
  case sharedMemorySelect = 0x0ac
  case sharedMemorySizeLow = 0x0b0
  case sharedMemorySizeHigh = 0x0b4
  case sharedMemoryBaseLow = 0x0b8
  case sharedMemoryBaseHigh = 0x0bc
  case queueReset = 0x0c0
  case configurationGeneration = 0x0fc

  /// The device's own configuration begins here.
  static let configuration: UInt64 = 0x100
}
