import Glibc
import Host
import KVM
import Synchronization

/// The writes of the guest that only signal an eventfd (KVM_IOEVENTFD).
final class WriteEvents: Sendable {
  private struct Watch: Sendable {
    let event: WriteEvent
    let descriptor: EventDescriptor

    func matches(size: Int, value: UInt64) -> Bool {
      event.size == 0 || event.size == size && (event.value ?? value) == value
    }
  }

  /// By address; several may differ in size and value.
  private typealias Table = [UInt64: [Watch]]
  private let ports = Mutex<Table>([:])
  private let memory = Mutex<Table>([:])
  /// How many there are, so that machines without any pay nothing.
  private let count = Atomic(0)

  private func withTable<Result>(
    of space: AddressSpace, _ body: (inout sending Table) throws(SystemError) -> sending Result
  ) throws(SystemError) -> sending Result {
    switch space {
    case .ports: try ports.withLock(body)
    case .memory: try memory.withLock(body)
    }
  }

  /// EINVAL for what no write is like, EEXIST where another one has the same writes.
  func connect(_ event: WriteEvent) throws(SystemError) {
    guard [0, 1, 2, 4, 8].contains(event.size), event.size != 0 || event.value == nil,
      !event.address.addingReportingOverflow(UInt64(event.size)).overflow
    else { throw SystemError(call: "KVM_IOEVENTFD", errno: EINVAL) }
    let watch = Watch(
      event: event, descriptor: try EventDescriptor(duplicating: event.descriptor))
    let isNew = try withTable(of: event.space) { table throws(SystemError) -> Bool in
      let others = table[event.address] ?? []
      guard !others.contains(where: { Self.collide($0.event, event) }) else { return false }
      table[event.address] = others + [watch]
      return true
    }
    guard isNew else { throw SystemError(call: "KVM_IOEVENTFD", errno: EEXIST) }
    count.add(1, ordering: .relaxed)
  }

  private static func collide(_ one: WriteEvent, _ other: WriteEvent) -> Bool {
    if one.size == 0 || other.size == 0 { return true }
    guard one.size == other.size else { return false }
    return one.value == nil || other.value == nil || one.value == other.value
  }

  /// ENOENT where there is none.
  func disconnect(_ event: WriteEvent) throws(SystemError) {
    _ = try EventDescriptor(duplicating: event.descriptor)
    let isThere = try withTable(of: event.space) { table throws(SystemError) -> Bool in
      let index = table[event.address]?.firstIndex {
        $0.event.size == event.size && $0.event.value == event.value
          && $0.descriptor.isSame(as: event.descriptor)
      }
      guard let index else { return false }
      table[event.address]?.remove(at: index)
      if table[event.address]?.isEmpty == true { table[event.address] = nil }
      return true
    }
    guard isThere else { throw SystemError(call: "KVM_IOEVENTFD", errno: ENOENT) }
    count.subtract(1, ordering: .relaxed)
  }

  /// Signals who waits for this write; returns whether somebody did.
  func take(_ value: UInt64, to address: UInt64, size: Int, in space: AddressSpace) -> Bool {
    guard count.load(ordering: .relaxed) != 0 else { return false }
    let watch = try? withTable(of: space) { table throws(SystemError) -> Watch? in
      table[address]?.first { $0.matches(size: size, value: value) }
    }
    guard let watch = watch ?? nil else { return false }
    watch.descriptor.signal()
    return true
  }
}
