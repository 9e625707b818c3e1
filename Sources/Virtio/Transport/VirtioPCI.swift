public import DeviceModel
public import GuestMemory

/// A virtio device behind the registers of a PCI function.
///
/// Reference: VIRTIO 1.2, section 4.1, "Virtio Over PCI Bus".
public struct VirtioPCI<Device: VirtioDevice>: VirtioTransport {
  public private(set) var core: VirtioCore<Device>
  private let interrupts: PCIInterrupts
  private var pending: PendingInterrupts = []
  private var offeredWord: UInt32 = 0
  private var acceptedWord: UInt32 = 0
  private var selectedQueue: UInt16 = 0
  private var configurationVector = Self.noVector
  private var queueVectors: [UInt16]

  /// What a driver writes for an interrupt it does not want.
  private static var noVector: UInt16 { 0xffff }

  public init(_ device: Device, memory: GuestMemory, interrupts: PCIInterrupts) {
    core = VirtioCore(device, memory: memory)
    self.interrupts = interrupts
    queueVectors = Array(repeating: Self.noVector, count: device.queueSizes.count)
  }

  public mutating func connect(_ change: (inout Device) -> Void) { core.connect(change) }

  public mutating func perform(
    _ work: (inout Device, inout VirtioQueues) throws(QueueFault) -> Void
  ) {
    raise(core.perform(work))
  }

  // MARK: Registers

  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    switch offset {
    case ..<PCILayout.interruptStatus:
      var value: UInt64 = 0
      for index in 0..<UInt64(width.bytes) { value |= readCommon(offset + index) << (8 * index) }
      return value
    case PCILayout.interruptStatus:
      // Reading acknowledges.
      defer {
        pending = []
        interrupts.setPin(false)
      }
      return UInt64(pending.rawValue)
    case PCILayout.device..<PCILayout.notify:
      return core.readConfiguration(offset - PCILayout.device, width: width)
    default: return 0
    }
  }

  /// One byte of the common registers. A driver reads each register as a whole; bytes that are read
  /// one by one are the same.
  private func readCommon(_ offset: UInt64) -> UInt64 {
    guard let register = PCIRegister.at(offset) else { return 0 }
    return UInt64(value(of: register)) >> (8 * (offset - register.rawValue)) & 0xff
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    switch offset {
    case ..<PCILayout.interruptStatus: writeCommon(value, to: offset, width: width)
    case PCILayout.device..<PCILayout.notify:
      core.writeConfiguration(value, to: offset - PCILayout.device, width: width)
    case PCILayout.notify...:
      let queue = (offset - PCILayout.notify) / PCILayout.notifyStep
      raise(core.notify(queue: UInt32(truncatingIfNeeded: queue)))
    default: break
    }
  }

  /// A write of eight bytes is one of two registers of four; other writes must fit one register.
  private mutating func writeCommon(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    if width == .quad {
      writeCommon(value & 0xffff_ffff, to: offset, width: .double)
      writeCommon(value >> 32, to: offset + 4, width: .double)
    } else if let register = PCIRegister(rawValue: offset), register.width == width.bytes {
      write(UInt32(truncatingIfNeeded: value), to: register)
    }
  }

  private func value(of register: PCIRegister) -> UInt32 {
    let queue = core.queue(UInt32(selectedQueue))
    return switch register {
    case .offeredWord: offeredWord
    case .offeredFeatures: core.offered.word(offeredWord)
    case .acceptedWord: acceptedWord
    case .acceptedFeatures: core.accepted.word(acceptedWord)
    case .configurationVector: UInt32(configurationVector)
    case .queueCount: UInt32(queueVectors.count)
    case .status: UInt32(core.status.rawValue)
    case .configurationGeneration: core.generation & 0xff
    case .queueSelect: UInt32(selectedQueue)
    case .queueSize: UInt32(queue?.size ?? 0)
    case .queueVector: UInt32(queue == nil ? Self.noVector : queueVectors[Int(selectedQueue)])
    case .queueReady: queue?.isReady == true ? 1 : 0
    case .queueNotifyOffset: UInt32(selectedQueue)
    case .descriptorsLow: UInt32(truncatingIfNeeded: queue?.addresses.descriptors ?? 0)
    case .descriptorsHigh: UInt32(truncatingIfNeeded: (queue?.addresses.descriptors ?? 0) >> 32)
    case .availableLow: UInt32(truncatingIfNeeded: queue?.addresses.available ?? 0)
    case .availableHigh: UInt32(truncatingIfNeeded: (queue?.addresses.available ?? 0) >> 32)
    case .usedLow: UInt32(truncatingIfNeeded: queue?.addresses.used ?? 0)
    case .usedHigh: UInt32(truncatingIfNeeded: (queue?.addresses.used ?? 0) >> 32)
    case .queueNotifyData: UInt32(selectedQueue)
    case .queueReset: 0
    }
  }

  private mutating func write(_ value: UInt32, to register: PCIRegister) {
    let queue = UInt32(selectedQueue)
    switch register {
    case .offeredWord: offeredWord = value
    case .acceptedWord: acceptedWord = value
    case .acceptedFeatures: core.accept(value, word: acceptedWord)
    case .configurationVector: configurationVector = vector(value)
    case .status:
      raise(core.setStatus(VirtioStatus(rawValue: UInt8(truncatingIfNeeded: value))))
      if core.status.isEmpty { silence() }
    case .queueSelect: selectedQueue = UInt16(truncatingIfNeeded: value)
    case .queueSize: core.configure(queue: queue) { $0.setSize(UInt16(truncatingIfNeeded: value)) }
    case .queueVector:
      if queueVectors.indices.contains(Int(queue)) { queueVectors[Int(queue)] = vector(value) }
    case .queueReady: if value == 1 { core.setReady(queue: queue, true) }
    case .descriptorsLow: setAddress { $0.descriptors.setWord(0, value) }
    case .descriptorsHigh: setAddress { $0.descriptors.setWord(1, value) }
    case .availableLow: setAddress { $0.available.setWord(0, value) }
    case .availableHigh: setAddress { $0.available.setWord(1, value) }
    case .usedLow: setAddress { $0.used.setWord(0, value) }
    case .usedHigh: setAddress { $0.used.setWord(1, value) }
    case .offeredFeatures, .queueCount, .configurationGeneration, .queueNotifyOffset,
      .queueNotifyData, .queueReset:
      break
    }
  }

  private mutating func setAddress(_ change: (inout Virtqueue.Addresses) -> Void) {
    core.configure(queue: UInt32(selectedQueue)) { $0.setAddresses(change) }
  }

  /// A vector that does not exist reads back as none, which tells the driver.
  private func vector(_ value: UInt32) -> UInt16 {
    value < UInt32(interrupts.vectorCount) ? UInt16(value) : Self.noVector
  }

  // MARK: Interrupts

  private mutating func raise(_ signals: VirtioSignals) {
    if signals.isEmpty { return }
    if interrupts.usesMessages {
      if signals.configuration { interrupts.raise(Int(configurationVector)) }
      var queues = signals.queues
      while queues != 0 {
        interrupts.raise(Int(queueVectors[queues.trailingZeroBitCount]))
        queues &= queues - 1
      }
    } else {
      if signals.queues != 0 { pending.insert(.usedBuffers) }
      if signals.configuration { pending.insert(.configuration) }
      interrupts.setPin(true)
    }
  }

  /// The driver has reset the device.
  private mutating func silence() {
    pending = []
    interrupts.setPin(false)
    (offeredWord, acceptedWord, selectedQueue) = (0, 0, 0)
    configurationVector = Self.noVector
    for number in queueVectors.indices { queueVectors[number] = Self.noVector }
  }
}
