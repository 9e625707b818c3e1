package import GuestMemory

// How the machine around the processors reads and writes guest memory: on any thread, but not on
// one inside a run except in calls of its environment.
extension ProcessorGroup {
  /// Reads one little-endian value.
  package func load<Value: BitwiseCopyable>(
    _ type: Value.Type, at address: UInt64
  ) throws(UnbackedAddress) -> Value {
    let size = MemoryLayout<Value>.size
    let value = whenFree { _ -> Value? in
      guard let slot = slots.find(address), slot.range.upperBound - address >= size else {
        return nil
      }
      return unsafe slot.pointer(to: address).loadUnaligned(as: Value.self)
    }
    guard let value else { throw UnbackedAddress(address: address, count: size) }
    return value
  }

  /// From now on, keeps the pages that ``store(_:at:)`` is the first to write to.
  package func keepWritesOutside() { writesOutside.withLock { $0 = $0 ?? [] } }

  /// Takes the pages that were kept.
  package func takeWritesOutside() -> [WrittenPage] {
    writesOutside.withLock { pages in
      defer { pages = pages.map { _ in [] } }
      return pages ?? []
    }
  }

  /// Writes one little-endian value, as a processor would.
  package func store<Value: BitwiseCopyable>(
    _ value: Value, at address: UInt64
  ) throws(UnbackedAddress) {
    let size = MemoryLayout<Value>.size
    let isDone = whenFree { _ -> Bool in
      guard let slot = slots.find(address), !slot.isReadOnly,
        slot.range.upperBound - address >= size
      else { return false }
      for place in [address, address + UInt64(size) - 1] {
        guard let page = slot.markWritten(place) else { continue }
        writesOutside.withLock { $0?.append(page) }
      }
      unsafe slot.pointer(to: address).storeBytes(of: value, as: Value.self)
      return true
    }
    guard isDone else { throw UnbackedAddress(address: address, count: size) }
    memoryChanged(at: address, count: size)
  }
}
