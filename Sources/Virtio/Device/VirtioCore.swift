public import DeviceModel
public import GuestMemory

/// A device between its driver and its queues: everything that all transports have in common.
///
/// A transport turns accesses to its registers into calls of this type, and the signals that these
/// return into interrupts.
///
/// Reference: VIRTIO 1.2, sections 2 and 3.
public struct VirtioCore<Device: VirtioDevice>: Sendable {
  public private(set) var device: Device
  public private(set) var status: VirtioStatus = []
  /// Changes whenever the configuration does, so that a driver notices while it reads.
  public private(set) var generation: UInt32 = 0
  private var queues: VirtioQueues
  /// What the driver has accepted so far.
  public private(set) var accepted: VirtioFeatures = []

  public init(_ device: Device, memory: GuestMemory) {
    precondition(device.queueSizes.count <= 64, "signals have a bit for each of 64 queues")
    self.device = device
    queues = VirtioQueues(sizes: device.queueSizes, memory: memory)
  }

  public var offered: VirtioFeatures { device.features.union(.common) }

  /// Accepts features, 32 of them at a time; too late once they are agreed on.
  public mutating func accept(_ bits: UInt32, word: UInt32) {
    guard word < 2, !status.contains(.featuresAgreed) else { return }
    let shift = UInt64(word) * 32
    let others = accepted.rawValue & ~(0xffff_ffff << shift)
    accepted = VirtioFeatures(rawValue: others | UInt64(bits) << shift)
  }

  /// Takes the driver's progress; zero is a reset. Bits are never taken back otherwise.
  public mutating func setStatus(_ new: VirtioStatus) -> VirtioSignals {
    if new.isEmpty {
      reset()
      return VirtioSignals()
    }
    var added = new.subtracting(status).subtracting(.needsReset)
    if added.contains(.featuresAgreed), !isAcceptable { added.remove(.featuresAgreed) }
    status.formUnion(added)
    if added.contains(.driverReady) {
      if status.contains(.featuresAgreed) {
        device.start(accepted)
      } else {
        status.remove(.driverReady)
      }
    }
    return VirtioSignals()
  }

  private var isAcceptable: Bool { accepted.contains(.version1) && accepted.isSubset(of: offered) }

  private mutating func reset() {
    status = []
    accepted = []
    for number in queues.queues.indices { queues.queues[number].reset() }
    device.reset()
  }

  /// Queue `number` as its driver sets it up; `nil` when the device has no such queue.
  public func queue(_ number: UInt32) -> Virtqueue? {
    queues.queues.indices.contains(Int(number)) ? queues.queues[Int(number)] : nil
  }

  /// Changes how queue `number` is set up, if the device has it.
  public mutating func configure(queue number: UInt32, _ change: (inout Virtqueue) -> Void) {
    guard queues.queues.indices.contains(Int(number)) else { return }
    change(&queues.queues[Int(number)])
  }

  /// Starts or stops queue `number`; it cannot start before the features are agreed on.
  public mutating func setReady(queue number: UInt32, _ isReady: Bool) {
    let features = accepted
    let isAgreed = status.contains(.featuresAgreed)
    configure(queue: number) { queue in
      if !isReady { queue.stop() } else if isAgreed { queue.start(features) }
    }
  }

  /// The driver says that there is something new in queue `number`.
  public mutating func notify(queue number: UInt32) -> VirtioSignals {
    guard queues.queues.indices.contains(Int(number)) else { return VirtioSignals() }
    return perform { device, queues throws(QueueFault) in
      try device.serve(queue: Int(number), &queues)
    }
  }

  /// Lets the device work with its queues, if its driver is ready: for a driver's notification, and
  /// for what happens on the host's side.
  public mutating func perform(
    _ work: (inout Device, inout VirtioQueues) throws(QueueFault) -> Void
  ) -> VirtioSignals {
    guard status.contains(.driverReady), !status.contains(.needsReset) else {
      return VirtioSignals()
    }
    var signals = VirtioSignals()
    do throws(QueueFault) {
      try work(&device, &queues)
      for number in queues.queues.indices where try queues.queues[number].takeSignal() {
        signals.queues |= 1 << UInt64(number)
      }
    } catch {
      status.insert(.needsReset)
      queues.isConfigurationChanged = true
    }
    if queues.isConfigurationChanged {
      queues.isConfigurationChanged = false
      generation &+= 1
      signals.configuration = true
    }
    return signals
  }

  /// Changes the device on the host's side.
  public mutating func connect(_ change: (inout Device) -> Void) { change(&device) }

  // MARK: Configuration

  public func readConfiguration(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    (0..<UInt64(width.bytes)).reduce(0) {
      $0 | UInt64(readConfiguration(offset + $1)) << (8 * $1)
    }
  }

  public mutating func writeConfiguration(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    for index in 0..<UInt64(width.bytes) {
      writeConfiguration(UInt8(truncatingIfNeeded: value >> (8 * index)), to: offset + index)
    }
  }

  /// Byte `offset` of the configuration; zero beyond its end.
  private func readConfiguration(_ offset: UInt64) -> UInt8 {
    let bytes = device.configuration
    return offset < bytes.count ? bytes[Int(offset)] : 0
  }

  private mutating func writeConfiguration(_ byte: UInt8, to offset: UInt64) {
    guard offset < device.configuration.count else { return }
    device.writeConfiguration(byte, at: Int(offset))
  }
}
