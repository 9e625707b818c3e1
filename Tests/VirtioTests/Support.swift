import DeviceModel
import FakeDevices
import GuestMemory
import Virtio

/// The driver's side of one queue: rings at 0x1000, 0x2000 and 0x3000 of its guest's memory.
struct RingDriver {
  static let next: UInt16 = 1
  static let write: UInt16 = 2
  static let indirect: UInt16 = 4

  let memory: GuestMemory
  let size: UInt16
  private var offered: UInt16 = 0

  init(memory: GuestMemory, size: UInt16 = 8) { (self.memory, self.size) = (memory, size) }

  static func addresses(_ addresses: inout Virtqueue.Addresses) {
    (addresses.descriptors, addresses.available, addresses.used) = (0x1000, 0x2000, 0x3000)
  }

  /// Writes entry `number` of the table at `table`.
  func describe(
    _ number: Int, _ buffer: (address: UInt64, count: UInt32), flags: UInt16 = 0, next: UInt16 = 0,
    table: UInt64 = 0x1000
  ) throws {
    let entry = table + UInt64(number) * 16
    try memory.store(buffer.address, at: entry)
    try memory.store(buffer.count, at: entry + 8)
    try memory.store(flags, at: entry + 12)
    try memory.store(next, at: entry + 14)
  }

  /// Makes the chain from `head` available.
  mutating func offer(_ head: UInt16) throws {
    try memory.store(head, at: 0x2004 + UInt64(offered % size) * 2)
    offered &+= 1
    try memory.store(offered, at: 0x2002)
  }

  var usedIndex: UInt16 { get throws { try memory.load(UInt16.self, at: 0x3002) } }

  func used(_ slot: Int) throws -> (head: UInt32, written: UInt32) {
    let entry = 0x3004 + UInt64(slot) * 8
    return (
      try memory.load(UInt32.self, at: entry), try memory.load(UInt32.self, at: entry + 4)
    )
  }

  /// After which chain given back the driver wants an interrupt.
  func wantInterrupt(after index: UInt16) throws {
    try memory.store(index, at: 0x2004 + UInt64(size) * 2)
  }

  /// After which chain made available the device wants a notification.
  var availableEvent: UInt16 {
    get throws { try memory.load(UInt16.self, at: 0x3004 + UInt64(size) * 8) }
  }
}

/// Gives back what it is sent; has a configuration that can be written, and counts its calls.
struct EchoDevice: VirtioDevice {
  static let kind: UInt32 = 0x1234
  let queueSizes: [UInt16] = [8, 16]
  let features = VirtioFeatures(rawValue: 1 << 5)
  private(set) var configuration: [UInt8] = [1, 2, 3, 4, 5]
  private(set) var started: VirtioFeatures?
  private(set) var resets = 0
  private(set) var served = 0
  private var chain = DescriptorChain()

  mutating func writeConfiguration(_ byte: UInt8, at offset: Int) { configuration[offset] = byte }

  mutating func start(_ features: VirtioFeatures) { started = features }

  mutating func reset() { resets += 1 }

  mutating func serve(queue number: Int, _ queues: inout VirtioQueues) throws(QueueFault) {
    while try queues[number].next(into: &chain) {
      served += 1
      let bytes = chain.read(1 << 16, from: queues.memory)
      let written = chain.write(bytes, to: queues.memory)
      try queues[number].complete(chain, written: written)
    }
  }
}

/// A device with its driver, both over one megabyte of RAM.
struct Bench<Device: VirtioDevice> {
  let memory: GuestMemory
  let line = FakeLine()
  var transport: VirtioMMIO<Device>
  var driver: RingDriver

  init(_ device: Device) throws {
    memory = try GuestMemory(size: 1 << 20)
    transport = VirtioMMIO(device, memory: memory, interrupt: line)
    driver = RingDriver(memory: memory)
  }

  mutating func read(_ offset: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: transport.read(offset, width: .double))
  }

  mutating func write(_ value: UInt32, to offset: UInt64) {
    transport.write(UInt64(value), to: offset, width: .double)
  }

  /// What a driver does before it may use the device, with every feature that is offered but
  /// those of `refused`.
  mutating func start(refusing refused: VirtioFeatures = []) {
    write(0, to: 0x70)
    write(3, to: 0x70)
    for word in 0..<2 as Range<UInt32> {
      write(word, to: 0x14)
      write(word, to: 0x24)
      write(read(0x10) & ~UInt32(truncatingIfNeeded: refused.rawValue >> (32 * word)), to: 0x20)
    }
    write(0xb, to: 0x70)
    setUpQueue()
    write(0xf, to: 0x70)
  }

  mutating func setUpQueue() {
    write(0, to: 0x30)
    write(UInt32(driver.size), to: 0x38)
    for (register, address) in [(0x80, 0x1000), (0x90, 0x2000), (0xa0, 0x3000)]
      as [(UInt64, UInt32)]
    {
      write(address, to: register)
      write(0, to: register + 4)
    }
    write(1, to: 0x44)
  }

  mutating func notify() { write(0, to: 0x50) }

  mutating func acknowledge() { write(read(0x60), to: 0x64) }
}
