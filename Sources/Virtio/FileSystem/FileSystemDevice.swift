import GuestMemory

/// Who answers the requests of a file system's driver.
///
/// A request and its answer are messages of FUSE, with their headers.
public protocol FileServer: AnyObject, Sendable {
  /// Answers some time, on any thread, with `limit` bytes at most; nothing for messages that have no
  /// answer. The messages are hostile.
  func submit(
    _ request: [UInt8], limit: Int, completion: @escaping @Sendable ([UInt8]) -> Void)

  /// The driver is gone: closes what it had open.
  func reset()
}

/// A tree of the host's files.
///
/// Reference: VIRTIO 1.2, section 5.11, "File System Device".
public struct FileSystemDevice: VirtioDevice {
  public static let kind: UInt32 = 26
  public static var pciClass: UInt32 { 0x01_8000 }

  /// One queue for what must not wait (forgotten files, interrupts), one for everything else.
  public let queueSizes: [UInt16] = [128, 1024]
  public let configuration: [UInt8]
  private let server: any FileServer
  private var handle: VirtioHandle<FileSystemDevice>?
  private var running = RequestTable()
  private var chain = DescriptorChain()

  /// The longest name that a guest can mount it by.
  public static let tagLimit = 36
  /// A request of a page's worth of headers and as many bytes to write as the server takes.
  private static let requestLimit = (1 << 20) + 4096

  /// - Parameter tag: what the guest mounts it by, ``tagLimit`` bytes of UTF-8 at most.
  public init(_ server: any FileServer, tag: String) {
    self.server = server
    let name = Array(tag.utf8.prefix(Self.tagLimit))
    configuration = name + Array(repeating: 0, count: Self.tagLimit - name.count) + [1, 0, 0, 0]
  }

  /// Tells the device how answers reach it; before its driver comes.
  public mutating func connect(to handle: VirtioHandle<FileSystemDevice>) { self.handle = handle }

  public mutating func reset() {
    running.forgetAll()
    server.reset()
  }

  public mutating func serve(
    queue number: Int, _ queues: inout VirtioQueues
  ) throws(QueueFault) {
    guard let handle else { preconditionFailure("a share is connected before its driver comes") }
    while try queues[number].next(into: &chain) {
      let request = chain.read(Self.requestLimit, from: queues.memory)
      let limit = min(chain.writableCount, Self.requestLimit)
      let ticket = running.add(chain, queue: number, isRead: true)
      server.submit(request, limit: limit) { answer in
        handle.perform { device, queues throws(QueueFault) in
          try device.complete(ticket, answer, &queues)
        }
      }
    }
  }

  private mutating func complete(
    _ ticket: RequestTable.Ticket, _ answer: [UInt8], _ queues: inout VirtioQueues
  ) throws(QueueFault) {
    guard let entry = running.take(ticket) else { return }
    let written = entry.chain.write(answer, to: queues.memory)
    try queues[entry.queue].complete(entry.chain, written: written)
  }
}
