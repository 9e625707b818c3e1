import Chipset
import Glibc
public import Host
public import KVM
import KVMABI

/// Events and writes that need no exit.
extension SoftMachine: ConnectedMachine {
  public func connect(_ source: InterruptEventSource) throws(KVMError) {
    // Ends are seen only where the controllers are in the engine.
    guard let chips = chips.withLock({ $0 }),
      source.resample == nil || !chips.controller.isSplit
    else { throw .refused(call: "KVM_IRQFD", errno: EINVAL) }
    try refusing { () throws(SystemError) in try interruptEvents.connect(source, to: chips) }
  }

  public func disconnect(_ source: InterruptEventSource) throws(KVMError) {
    guard let chips = chips.withLock({ $0 }) else {
      throw .refused(call: "KVM_IRQFD", errno: EINVAL)
    }
    try refusing { () throws(SystemError) in try interruptEvents.disconnect(source, from: chips) }
  }

  public func connect(_ event: WriteEvent) throws(KVMError) {
    try refusing { () throws(SystemError) in try guestWrites.events.connect(event) }
  }

  public func disconnect(_ event: WriteEvent) throws(KVMError) {
    try refusing { () throws(SystemError) in try guestWrites.events.disconnect(event) }
  }

  public func connect(_ connection: HyperVConnection) throws(KVMError) {
    try refusing { () throws(SystemError) in
      try check(connection)
      let event = try EventDescriptor(duplicating: connection.descriptor)
      try partition.connect(connection.identifier, to: event)
    }
  }

  public func disconnect(_ connection: HyperVConnection) throws(KVMError) {
    try refusing { () throws(SystemError) in
      try check(connection)
      try partition.disconnect(connection.identifier)
    }
  }

  private func check(_ connection: HyperVConnection) throws(SystemError) {
    guard connection.identifier <= HyperVPartition.largestConnection else {
      throw SystemError(call: "KVM_HYPERV_EVENTFD", errno: EINVAL)
    }
  }

  public func coalesce(_ zone: CoalescedZone) throws(KVMError) { guestWrites.waiting.add(zone) }

  public func stopCoalescing(_ zone: CoalescedZone) throws(KVMError) {
    guestWrites.waiting.remove(zone)
  }

  public func collectCoalescedWrites() throws(KVMError) -> [CoalescedWrite] {
    guestWrites.waiting.collect()
  }

  /// Moves the ring of coalesced writes to the third page of a file that the client maps, as KVM
  /// has it in a processor's; only the first time.
  public func shareCoalescedRing(
    _ file: borrowing FileDescriptor, size: Int
  ) throws(SystemError) {
    try guestWrites.waiting.share(file, size: size)
  }
}

/// The guest's writes that end no run: signals and what waits.
final class GuestWrites: Sendable {
  let events = WriteEvents()
  let waiting: CoalescedWrites

  init() throws(SystemError) { waiting = try CoalescedWrites() }

  /// Returns whether the write was one of those.
  func take(_ value: UInt64, to address: UInt64, size: Int, in space: AddressSpace) -> Bool {
    events.take(value, to: address, size: size, in: space)
      || waiting.take(value, to: address, size: size, in: space)
  }
}
