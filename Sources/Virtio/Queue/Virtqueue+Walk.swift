import GuestMemory

/// One entry of a descriptor table, as it lies in memory.
///
/// Reference: VIRTIO 1.2, section 2.7.5.
struct Descriptor: BitwiseCopyable {
  var address: UInt64 = 0
  var length: UInt32 = 0
  var flags: UInt16 = 0
  var next: UInt16 = 0

  static let size = 16
  static let hasNext: UInt16 = 1
  static let isWritable: UInt16 = 2
  static let isIndirect: UInt16 = 4

  func has(_ flag: UInt16) -> Bool { flags & flag != 0 }
}

extension Virtqueue {
  /// A run of descriptors: the queue's own, or an indirect one.
  private struct Table {
    let address: UInt64
    let count: Int
    let isIndirect: Bool
  }

  /// More entries than any driver puts into one indirect table.
  private static let indirectLimit = 1024

  /// Collects the buffers of the chain that begins at descriptor `head`.
  func walk(from head: UInt16, into chain: inout DescriptorChain) throws(QueueFault) {
    chain.head = head
    chain.readable.removeAll(keepingCapacity: true)
    chain.writable.removeAll(keepingCapacity: true)
    var table = Table(address: addresses.descriptors, count: Int(size), isIndirect: false)
    var (number, visited) = (head, 0)
    while true {
      if number >= table.count { throw .descriptorOutsideTable(number) }
      if visited == table.count { throw .endlessChain }
      visited += 1
      let descriptor = try load(
        Descriptor.self, at: table.address + UInt64(number) * UInt64(Descriptor.size))
      if descriptor.has(Descriptor.isIndirect) {
        table = try indirectTable(descriptor, in: table)
        (number, visited) = (0, 0)
        continue
      }
      try append(descriptor, to: &chain)
      guard descriptor.has(Descriptor.hasNext) else { return }
      number = descriptor.next
    }
  }

  private func indirectTable(
    _ descriptor: Descriptor, in table: Table
  ) throws(QueueFault) -> Table {
    let (count, rest) = Int(descriptor.length).quotientAndRemainder(dividingBy: Descriptor.size)
    guard hasIndirectTables, !table.isIndirect, !descriptor.has(Descriptor.hasNext),
      rest == 0, (1...Self.indirectLimit).contains(count)
    else { throw .badIndirectTable(length: descriptor.length) }
    guard isRAM(descriptor.address, count: Int(descriptor.length)) else {
      throw .bufferOutsideMemory(descriptor.address)
    }
    return Table(address: descriptor.address, count: count, isIndirect: true)
  }

  private func append(
    _ descriptor: Descriptor, to chain: inout DescriptorChain
  ) throws(QueueFault) {
    let count = Int(descriptor.length)
    guard isRAM(descriptor.address, count: count) else {
      throw .bufferOutsideMemory(descriptor.address)
    }
    let buffer = DescriptorChain.Buffer(address: descriptor.address, count: count)
    if descriptor.has(Descriptor.isWritable) {
      chain.writable.append(buffer)
    } else if chain.writable.isEmpty {
      chain.readable.append(buffer)
    } else {
      throw .readableAfterWritable
    }
  }
}
