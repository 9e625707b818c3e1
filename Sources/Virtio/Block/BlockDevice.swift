public import DeviceModel
import GuestMemory

/// A disk.
///
/// Requests go to the store at once, and come back in any order.
///
/// Reference: VIRTIO 1.2, section 5.2, "Block Device".
public struct BlockDevice: VirtioDevice {
  public static let kind: UInt32 = 2
  public static var pciClass: UInt32 { 0x01_0000 }

  public let queueSizes: [UInt16]
  private let store: any BlockStore
  /// What the guest reads as the disk's serial number.
  private let name: [UInt8]
  private var handle: VirtioHandle<BlockDevice>?
  private var isCached = true
  private var running = RequestTable()
  private var chain = DescriptorChain()

  /// - Parameters:
  ///   - serial: 20 bytes of UTF-8 at most; what is more is cut off.
  ///   - queues: one for each processor is best.
  public init(_ store: any BlockStore, serial: String = "", queues: Int = 1) {
    self.store = store
    name = Array(serial.utf8.prefix(BlockHeader.nameSize))
    queueSizes = Array(repeating: 256, count: min(max(queues, 1), 16))
  }

  /// Tells the device how finished requests reach it; before its driver comes.
  public mutating func connect(to handle: VirtioHandle<BlockDevice>) { self.handle = handle }

  public var features: VirtioFeatures {
    var features: VirtioFeatures = [
      .blockSegmentLimit, .blockSize, .blockFlush, .blockTopology, .blockCacheControl,
      .blockQueues,
    ]
    if store.isReadOnly {
      features.insert(.blockReadOnly)
    } else if store.canDiscard {
      features.formUnion([.blockDiscard, .blockWriteZeroes])
    }
    return features
  }

  public var configuration: [UInt8] {
    BlockConfiguration.bytes(store, queues: queueSizes.count, isCached: isCached)
  }

  public mutating func writeConfiguration(_ byte: UInt8, at offset: Int) {
    if offset == BlockConfiguration.cacheOffset { isCached = byte != 0 }
  }

  /// A driver that does not know of flushing must not lose what it has written.
  public mutating func start(_ features: VirtioFeatures) {
    isCached = features.contains(.blockFlush)
  }

  public mutating func reset() {
    // The guest may use the memory of its requests for something else from now on.
    store.drain()
    running.forgetAll()
    isCached = true
  }

  public mutating func serve(
    queue number: Int, _ queues: inout VirtioQueues
  ) throws(QueueFault) {
    while try queues[number].next(into: &chain) {
      guard let header = BlockHeader(chain, in: queues.memory), chain.writableCount > 0 else {
        // Nowhere to put a status.
        try queues[number].complete(chain, written: 0)
        continue
      }
      if let request = request(header, queues) {
        submit(request, queue: number)
      } else {
        let (status, written) = answer(header, queues)
        try finish(chain, status, written: written, queue: number, &queues)
      }
    }
  }

  /// What the store is to do; `nil` for what it cannot or need not do.
  private func request(_ header: BlockHeader, _ queues: VirtioQueues) -> BlockRequest? {
    let start = header.sector.multipliedReportingOverflow(by: UInt64(BlockRequest.sector))
    switch header.kind {
    case .read where !start.overflow:
      let pieces = chain.writable.pieces(0, chain.writableCount - 1, in: queues.memory)
      return checked(BlockRequest(.read, at: start.partialValue, pieces: pieces))
    case .write where !start.overflow && !store.isReadOnly:
      let pieces = chain.readable.pieces(
        BlockHeader.size, chain.readableCount - BlockHeader.size, in: queues.memory)
      return checked(BlockRequest(.write, at: start.partialValue, pieces: pieces))
    case .flush: return BlockRequest(.flush)
    case .discard: return clearing(.discard, queues)
    case .writeZeroes: return clearing(.writeZeroes, queues)
    default: return nil
    }
  }

  private func clearing(
    _ operation: BlockRequest.Operation, _ queues: VirtioQueues
  ) -> BlockRequest? {
    guard store.canDiscard, !store.isReadOnly,
      let range = BlockHeader.range(chain, in: queues.memory),
      range.count <= UInt64(BlockConfiguration.clearingLimit),
      range.flags & ~(operation == .writeZeroes ? 1 : 0) == 0
    else { return nil }
    let start = range.sector.multipliedReportingOverflow(by: UInt64(BlockRequest.sector))
    if start.overflow { return nil }
    return checked(
      BlockRequest(
        operation, at: start.partialValue, count: Int(range.count) * BlockRequest.sector))
  }

  /// The request, if it is whole sectors of the disk.
  private func checked(_ request: BlockRequest) -> BlockRequest? {
    let isInside =
      request.offset <= store.capacity
      && UInt64(request.count) <= store.capacity - request.offset
    return isInside && request.count % BlockRequest.sector == 0 ? request : nil
  }

  private mutating func submit(_ request: BlockRequest, queue: Int) {
    guard let handle else { preconditionFailure("a disk is connected before its driver comes") }
    let mustFlush = request.operation == .write && !isCached
    let ticket = running.add(chain, queue: queue, isRead: request.operation == .read)
    let store = store
    store.submit(request) { result in
      let finish: @Sendable (BlockResult) -> Void = { result in
        handle.perform { device, queues throws(QueueFault) in
          try device.complete(ticket, result, &queues)
        }
      }
      if mustFlush && result == .success {
        store.submit(BlockRequest(.flush), completion: finish)
      } else {
        finish(result)
      }
    }
  }

  /// A request of the store's is done.
  private mutating func complete(
    _ ticket: RequestTable.Ticket, _ result: BlockResult, _ queues: inout VirtioQueues
  ) throws(QueueFault) {
    guard let entry = running.take(ticket) else { return }
    let isGood = result == .success
    let written = entry.isRead && isGood ? entry.chain.writableCount - 1 : 0
    try finish(
      entry.chain, isGood ? .success : .failure, written: written, queue: entry.queue, &queues)
  }

  /// What needs no store.
  private func answer(
    _ header: BlockHeader, _ queues: VirtioQueues
  ) -> (BlockHeader.Status, written: Int) {
    switch header.kind {
    case .identify:
      let room = chain.writableCount - 1
      let padding = [UInt8](repeating: 0, count: BlockHeader.nameSize - name.count)
      let written = chain.write(Array((name + padding).prefix(room)), to: queues.memory)
      return (.success, written)
    case .read, .write, .flush: return (.failure, 0)
    case .discard, .writeZeroes: return (store.canDiscard ? .failure : .unsupported, 0)
    case nil: return (.unsupported, 0)
    }
  }

  /// Gives a request back with its status in the last byte.
  private func finish(
    _ chain: DescriptorChain, _ status: BlockHeader.Status, written: Int, queue: Int,
    _ queues: inout VirtioQueues
  ) throws(QueueFault) {
    _ = chain.write([status.rawValue], at: chain.writableCount - 1, to: queues.memory)
    try queues[queue].complete(chain, written: written + 1)
  }
}
