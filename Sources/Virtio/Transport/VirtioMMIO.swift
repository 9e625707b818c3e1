public import DeviceModel
public import GuestMemory

/// A virtio device behind a page of registers in memory, with one level-triggered interrupt.
///
/// Registers are 32 bits wide and are accessed as such; other accesses read zero and change
/// nothing. The device's configuration, from 0x100 on, takes any width.
///
/// Reference: VIRTIO 1.2, section 4.2, "Virtio Over MMIO", version 2 of the registers.
public struct VirtioMMIO<Device: VirtioDevice>: VirtioTransport {
  public private(set) var core: VirtioCore<Device>
  private var interrupt: LineOutput
  private var pending: PendingInterrupts = []
  private var offeredWord: UInt32 = 0
  private var acceptedWord: UInt32 = 0
  private var selectedQueue: UInt32 = 0

  /// How much of the address space the device takes.
  public static var size: UInt64 { 0x1000 }

  public init(_ device: Device, memory: GuestMemory, interrupt: any InterruptLine) {
    core = VirtioCore(device, memory: memory)
    self.interrupt = LineOutput(interrupt)
  }

  public mutating func connect(_ change: (inout Device) -> Void) { core.connect(change) }

  public mutating func perform(
    _ work: (inout Device, inout VirtioQueues) throws(QueueFault) -> Void
  ) {
    raise(core.perform(work))
  }

  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    if offset >= MMIORegister.configuration {
      return core.readConfiguration(offset - MMIORegister.configuration, width: width)
    }
    guard width == .double, let register = MMIORegister(rawValue: offset) else { return 0 }
    return UInt64(read(register))
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    if offset >= MMIORegister.configuration {
      core.writeConfiguration(value, to: offset - MMIORegister.configuration, width: width)
      return
    }
    guard width == .double, let register = MMIORegister(rawValue: offset) else { return }
    write(UInt32(truncatingIfNeeded: value), to: register)
  }

  private func read(_ register: MMIORegister) -> UInt32 {
    switch register {
    case .magic: 0x7472_6976  // "virt"
    case .version: 2
    case .deviceKind: Device.kind
    case .vendor: 0x7375_7041  // "Apus"
    case .offeredFeatures: core.offered.word(offeredWord)
    case .queueSizeLimit: UInt32(core.queue(selectedQueue)?.maximumSize ?? 0)
    case .queueReady: core.queue(selectedQueue)?.isReady == true ? 1 : 0
    case .interruptStatus: pending.rawValue
    case .status: UInt32(core.status.rawValue)
    // No device has shared memory: a region of all ones does not exist.
    case .sharedMemorySizeLow, .sharedMemorySizeHigh, .sharedMemoryBaseLow, .sharedMemoryBaseHigh:
      .max
    case .configurationGeneration: core.generation
    case .offeredWord, .acceptedFeatures, .acceptedWord, .queueSelect, .queueSize, .queueNotify,
      .interruptAcknowledge, .descriptorsLow, .descriptorsHigh, .availableLow, .availableHigh,
      .usedLow, .usedHigh, .sharedMemorySelect, .queueReset:
      0
    }
  }

  private mutating func write(_ value: UInt32, to register: MMIORegister) {
    switch register {
    case .offeredWord: offeredWord = value
    case .acceptedFeatures: core.accept(value, word: acceptedWord)
    case .acceptedWord: acceptedWord = value
    case .queueSelect: selectedQueue = value
    case .queueSize: core.configure(queue: selectedQueue) { $0.setSize(UInt16(clamping: value)) }
    case .queueReady: core.setReady(queue: selectedQueue, value != 0)
    case .queueNotify: raise(core.notify(queue: value))
    case .interruptAcknowledge:
      pending.subtract(PendingInterrupts(rawValue: value))
      interrupt.drive(!pending.isEmpty)
    case .status:
      raise(core.setStatus(VirtioStatus(rawValue: UInt8(truncatingIfNeeded: value))))
      if core.status.isEmpty { silence() }
    case .descriptorsLow: setAddress { $0.descriptors.setWord(0, value) }
    case .descriptorsHigh: setAddress { $0.descriptors.setWord(1, value) }
    case .availableLow: setAddress { $0.available.setWord(0, value) }
    case .availableHigh: setAddress { $0.available.setWord(1, value) }
    case .usedLow: setAddress { $0.used.setWord(0, value) }
    case .usedHigh: setAddress { $0.used.setWord(1, value) }
    case .magic, .version, .deviceKind, .vendor, .offeredFeatures, .queueSizeLimit,
      .interruptStatus, .sharedMemorySelect, .sharedMemorySizeLow, .sharedMemorySizeHigh,
      .sharedMemoryBaseLow, .sharedMemoryBaseHigh, .queueReset, .configurationGeneration:
      break
    }
  }

  private mutating func setAddress(_ change: (inout Virtqueue.Addresses) -> Void) {
    core.configure(queue: selectedQueue) { $0.setAddresses(change) }
  }

  private mutating func raise(_ signals: VirtioSignals) {
    if signals.queues != 0 { pending.insert(.usedBuffers) }
    if signals.configuration { pending.insert(.configuration) }
    interrupt.drive(!pending.isEmpty)
  }

  /// The driver has reset the device.
  private mutating func silence() {
    pending = []
    interrupt.drive(false)
    (offeredWord, acceptedWord, selectedQueue) = (0, 0, 0)
  }
}
