import GuestMemory
import Synchronization

extension Virtqueue {
  /// Takes the next chain that the driver has made available; returns whether there was one.
  ///
  /// After `false` the driver will notify the device of the next.
  public mutating func next(into chain: inout DescriptorChain) throws(QueueFault) -> Bool {
    guard isReady else { return false }
    while true {
      let available = try availableIndex()
      // Those that the device still has count as well: what is out is as bounded as what waits.
      let offered = available &- used
      if offered > size { throw .tooManyAvailable(Int(offered)) }
      if available != taken { break }
      guard hasEventIndex, awaited != taken else { return false }
      awaited = taken
      try store(awaited, at: availableEvent)
      // The driver adds a buffer, then reads this event; we write it, then look for buffers again.
      atomicMemoryFence(ordering: .sequentiallyConsistent)
    }
    let slot = UInt64(taken & (size &- 1))
    let head = try load(UInt16.self, at: addresses.available + 4 + slot * 2)
    taken &+= 1
    try walk(from: head, into: &chain)
    return true
  }

  /// Gives a chain back, with `written` bytes in its writable buffers.
  public mutating func complete(
    _ chain: DescriptorChain, written: Int
  ) throws(QueueFault) {
    let entry = addresses.used + 4 + UInt64(used & (size &- 1)) * 8
    try store(UInt32(chain.head), at: entry)
    try store(UInt32(clamping: written), at: entry + 4)
    used &+= 1
    // The driver sees the entry, and what the device wrote, before it sees the index.
    try releaseUsedIndex()
  }

  /// Whether the driver wants an interrupt for what was given back since the last question.
  mutating func takeSignal() throws(QueueFault) -> Bool {
    guard isReady, used != signalled else { return false }
    let before = signalled
    signalled = used
    // We write the index, then read what the driver wants; it writes that, then reads the index.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if hasEventIndex {
      let event = try load(UInt16.self, at: usedEvent)
      return used &- event &- 1 < used &- before
    }
    return try load(UInt16.self, at: addresses.available) & Self.noInterrupt == 0
  }

  /// VIRTQ_AVAIL_F_NO_INTERRUPT.
  private static let noInterrupt: UInt16 = 1

  /// Where the driver says after which chain given back it wants an interrupt.
  private var usedEvent: UInt64 { addresses.available + 4 + UInt64(size) * 2 }

  /// Where the device says after which chain made available it wants a notification.
  private var availableEvent: UInt64 { addresses.used + 4 + UInt64(size) * 8 }

  // MARK: Guest memory

  private func availableIndex() throws(QueueFault) -> UInt16 {
    // Acquiring: what the driver wrote before it moved the index is seen after this.
    try unsafe index(of: addresses.available).pointee.load(ordering: .acquiring)
  }

  private func releaseUsedIndex() throws(QueueFault) {
    try unsafe index(of: addresses.used).pointee.store(used, ordering: .releasing)
  }

  /// The index of a ring, which both sides may access at the same time.
  private func index(of ring: UInt64) throws(QueueFault) -> UnsafeMutablePointer<Atomic<UInt16>> {
    guard let host = unsafe memory.hostAddress(of: ring + 2, count: 2) else {
      throw .ringOutsideMemory(ring)
    }
    return unsafe host.assumingMemoryBound(to: Atomic<UInt16>.self)
  }

  func load<Value: BitwiseCopyable>(
    _ type: Value.Type, at address: UInt64
  ) throws(QueueFault) -> Value {
    do throws(UnbackedAddress) {
      return try memory.load(type, at: address)
    } catch {
      throw .ringOutsideMemory(address)
    }
  }

  private func store(_ value: some BitwiseCopyable, at address: UInt64) throws(QueueFault) {
    do throws(UnbackedAddress) {
      try memory.store(value, at: address)
    } catch {
      throw .ringOutsideMemory(address)
    }
  }
}
