public import DeviceModel
import Glibc
public import Host

/// A raw image whose reads and writes the kernel carries out by itself; what else there is to do
/// is left to threads.
public final class RingStore: BlockStore {
  private struct Transfer: Sendable {
    let request: BlockRequest
    let completion: DiskWorkers.Completion
  }

  private struct State: Sendable {
    var transfers: [Transfer?] = Array(repeating: nil, count: RingStore.depth)
    var free = Array(0..<RingStore.depth)
  }

  private let image: RawImage
  private let workers: DiskWorkers
  private let ring: TransferRing
  private let state: Monitor<State>

  /// More transfers than this at a time go to the threads.
  private static let depth = 128
  /// What the kernel takes in one transfer (IOV_MAX).
  private static let pieceLimit = 1024
  private static let closing = UInt64.max

  /// `nil` where the kernel, or who confines this process, does not allow it.
  public init?(_ image: RawImage) throws(SystemError) {
    guard let ring = TransferRing(entries: Self.depth) else { return nil }
    let state = Monitor(State())
    (self.image, self.ring, self.state) = (image, ring, state)
    let workers = try DiskWorkers(image)
    self.workers = workers
    _ = try HostThread(named: "disk", stackSize: 1 << 20) {
      Self.finish(ring, state, workers, image)
    }
  }

  deinit {
    // Nothing runs any more: who asked for it would have us still.
    _ = state.withLock { _ in ring.wake(tag: Self.closing) }
  }

  public var capacity: UInt64 { image.capacity }
  public var isReadOnly: Bool { image.isReadOnly }
  public var canDiscard: Bool { image.canDiscard }

  public func submit(
    _ request: BlockRequest, completion: @escaping @Sendable (BlockResult) -> Void
  ) {
    let isTransfer = request.operation == .read || request.operation == .write
    guard isTransfer, request.count > 0, request.pieces.count <= Self.pieceLimit,
      !image.mustLook(at: request)
    else { return workers.submit(request, completion: completion) }
    let isTaken = state.withLock { state -> Bool in
      guard let slot = state.free.popLast() else { return false }
      state.transfers[slot] = Transfer(request: request, completion: completion)
      if image.begin(request, on: ring, tag: UInt64(slot)) { return true }
      state.transfers[slot] = nil
      state.free.append(slot)
      return false
    }
    if !isTaken { workers.submit(request, completion: completion) }
  }

  public func drain() {
    _ = state.wait { $0.free.count == Self.depth ? true : nil }
    workers.drain()
  }

  /// The thread that sees what is done. It waits for nothing but the kernel: who drains the store
  /// may have the lock that a completion wants.
  private static func finish(
    _ ring: TransferRing, _ state: Monitor<State>, _ workers: DiskWorkers, _ image: RawImage
  ) {
    while let result = ring.wait(), result.tag != closing {
      let slot = Int(result.tag)
      let transfer = state.withLock { $0.transfers[slot] }
      guard let transfer else { preconditionFailure("a transfer is done once") }
      // What the kernel did in part, or not now, is done here: at a file's end, for instance.
      let isWhole = Int(result.count) == transfer.request.count
      let outcome = isWhole ? .success : image.perform(transfer.request)
      // First the memory is given back, then somebody hears of it.
      state.change { state in
        state.transfers[slot] = nil
        state.free.append(slot)
      }
      workers.tell(transfer.completion, outcome)
    }
  }
}

extension RawImage {
  /// Asks the ring for a read or a write.
  fileprivate func begin(_ request: BlockRequest, on ring: TransferRing, tag: UInt64) -> Bool {
    let pieces = unsafe request.pieces.map { piece in
      unsafe iovec(iov_base: piece.address, iov_len: piece.count)
    }
    return unsafe ring.transfer(
      file.descriptor(for: request.pieces, at: request.offset),
      writing: request.operation == .write, pieces, at: request.offset, tag: tag)
  }
}
