internal import CLinux
import Glibc
public import Host
import Synchronization
public import Virtio

/// A directory of the host's as a file system for a guest, which can reach nothing outside of it.
///
/// The driver speaks FUSE. Every file it knows is a descriptor (see ``ShareNodes``), and every name
/// is one step from one of them, so neither links nor `..` lead anywhere else. Requests are carried
/// out by a thread of the server's own, which a slow disk may hold up without anybody else.
///
/// Reference: linux/fuse.h, version 7.31.
public final class ShareServer: FileServer {
  private typealias Job = @Sendable () -> Void

  struct State: Sendable {
    var nodes: ShareNodes
    var handles: [UInt64: ShareHandle] = [:]
    var nextHandle: UInt64 = 1
    /// What the request that is being carried out has found; it stays open until the answer.
    var inUse: [ShareNode] = []
    /// Whether a file system is synthetic, by its device's number.
    var kinds: [UInt64: Bool] = [:]
  }

  private struct Queue: Sendable {
    var jobs: [Job] = []
    var isClosing = false
  }

  let isReadOnly: Bool
  let state: Mutex<State>
  private let queue: Monitor<Queue>
  /// Whether this process may give files to other users.
  let ownsForOthers = geteuid() == 0

  /// - Throws: What the host says when `path` is no directory that can be read.
  public init(path: String, isReadOnly: Bool) throws(SystemError) {
    self.isReadOnly = isReadOnly
    // Half for files that the driver knows, half for those that it has open.
    state = Mutex(State(nodes: ShareNodes(limit: max(64, Int(apus_allow_many_files()) / 2))))
    let top = try FileDescriptor.open(path, apus_path_only | O_DIRECTORY)
    let node = try Self.node(top)
    let queue = Monitor(Queue())
    self.queue = queue
    _ = state.withLock {
      $0.nodes.add(node, at: ShareNodes.Place(directory: 0, name: []))
    }
    _ = try HostThread(named: "share", stackSize: 1 << 20) { Self.work(queue) }
  }

  deinit { queue.change { $0.isClosing = true } }

  private static func node(_ descriptor: consuming FileDescriptor) throws(SystemError) -> ShareNode
  {
    var status = stat()
    _ = try checked(unsafe apus_status(descriptor.rawValue, &status), "fstat")
    return ShareNode(
      descriptor, ShareNode.Identity(device: UInt64(status.st_dev), file: UInt64(status.st_ino)))
  }

  public func submit(
    _ request: [UInt8], limit: Int, completion: @escaping @Sendable ([UInt8]) -> Void
  ) {
    queue.change { queue in
      queue.jobs.append { [self] in completion(answer(request, limit: limit)) }
    }
  }

  public func reset() {
    queue.change { $0.jobs.removeAll() }
    state.withLock { state in
      state.nodes.reset()
      state.handles.removeAll()
    }
  }

  private static func work(_ queue: Monitor<Queue>) {
    while true {
      let job = queue.wait { queue -> Job?? in
        if !queue.jobs.isEmpty { return .some(queue.jobs.removeFirst()) }
        return queue.isClosing ? .some(nil) : nil
      }
      guard let job, let job else { return }
      job()
    }
  }

  /// The answer to a message; nothing for those that have none.
  package func answer(_ bytes: [UInt8], limit: Int) -> [UInt8] {
    guard let request = ShareRequest(bytes) else { return [] }
    defer { state.withLock { $0.inUse.removeAll(keepingCapacity: true) } }
    do throws(ShareFailure) {
      switch request.operation {
      case .forget, .forgetMany:
        try forget(request)
        return []
      case .interrupt: return []
      case .destroy:
        reset()
        return ShareReply.message(request.unique)
      default: break
      }
      let body = try perform(request, limit: limit - ShareReply.headerSize)
      // A driver that leaves no room for an answer gets what fits.
      return Array(ShareReply.message(request.unique, body).prefix(limit))
    } catch {
      return Array(ShareReply.message(request.unique, error: error.number).prefix(limit))
    }
  }

  private func perform(_ request: ShareRequest, limit: Int) throws(ShareFailure) -> [UInt8] {
    switch request.operation {
    case .initialize: try initialize(request)
    case .lookup: try lookup(request)
    case .getAttributes: try attributes(request)
    case .setAttributes: try setAttributes(request)
    case .readLink: try readLink(request)
    case .makeSymbolicLink, .makeNode, .makeDirectory, .link: try makeEntry(request)
    case .create: try create(request)
    case .removeFile, .removeDirectory: try remove(request)
    case .rename, .renameWithFlags: try rename(request)
    case .open, .openDirectory: try open(request)
    case .release, .releaseDirectory: try release(request)
    case .read: try read(request, limit: limit)
    case .write: try write(request)
    case .seek: try seek(request)
    case .allocate: try allocate(request)
    case .flush: []
    case .synchronize, .synchronizeDirectory: try synchronize(request)
    case .readDirectory: try readDirectory(request, limit: limit, withAttributes: false)
    case .readDirectoryPlus: try readDirectory(request, limit: limit, withAttributes: true)
    case .fileSystem: try fileSystem(request)
    case .getExtended: try getExtended(request, limit: limit)
    case .listExtended: try listExtended(request, limit: limit)
    case .setExtended: try setExtended(request)
    case .removeExtended: try removeExtended(request)
    default: throw .error(ENOSYS)
    }
  }

  // MARK: What operations have in common

  /// The file with a number.
  ///
  /// - Parameter depth: how many levels below the file that the driver asked for. Directories that
  ///   somebody moves about meanwhile may seem to contain each other.
  func node(_ number: UInt64, depth: Int = 0) throws(ShareFailure) -> ShareNode {
    guard depth < 1024, let entry = state.withLock({ $0.nodes[number] }) else {
      throw .error(ESTALE)
    }
    if let node = entry.node {
      state.withLock { $0.inUse.append(node) }
      return node
    }
    // Its descriptor has been closed since: found again the same way, if it is still there.
    let directory = try node(entry.place.directory, depth: depth + 1)
    let node = try step(entry.place.name, in: directory)
    guard node.identity == entry.identity else { throw .error(ESTALE) }
    state.withLock { $0.nodes.open(number, node) }
    return node
  }

  /// One step down from a directory.
  func step(_ name: [CChar], in directory: ShareNode) throws(ShareFailure) -> ShareNode {
    let step = FileDescriptor(
      owning: try result(unsafe apus_step(directory.descriptor.rawValue, name)))
    let status = try status(step.rawValue)
    let identity = ShareNode.Identity(
      device: UInt64(status.st_dev), file: UInt64(status.st_ino))
    let node = ShareNode(step, identity)
    state.withLock { $0.inUse.append(node) }
    return node
  }

  func handle(_ number: UInt64) throws(ShareFailure) -> ShareHandle {
    guard let handle = state.withLock({ $0.handles[number] }) else { throw .error(EBADF) }
    return handle
  }

  func keep(_ handle: ShareHandle) -> UInt64 {
    state.withLock { state in
      let number = state.nextHandle
      state.nextHandle += 1
      state.handles[number] = handle
      return number
    }
  }

  /// Refuses what would change a share that is only read.
  func checkWritable() throws(ShareFailure) {
    if isReadOnly { throw .error(EROFS) }
  }

  /// What a call that returns `-errno` returned.
  @discardableResult
  func result<Number: SignedInteger>(_ number: Number) throws(ShareFailure) -> Number {
    if number < 0 { throw .error(CInt(-number)) }
    return number
  }

  private func initialize(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    let offered = try request.word(12)
    guard try request.word(0) == 7 else { throw .error(EPROTO) }
    reset()
    var reply = ShareReply()
    for number in [7, 31] as [UInt32] { reply.append(number) }
    reply.append(try request.word(8))  // read-ahead
    reply.append(offered & Self.features)
    for number in [64, 48] as [UInt16] { reply.append(number) }  // requests in the background
    reply.append(UInt32(1 << 20))  // the longest write
    reply.append(UInt32(1))  // times are in nanoseconds
    for number in [256, 0] as [UInt16] { reply.append(number) }  // pages in a request
    reply.append([UInt8](repeating: 0, count: 32))
    return reply.bytes
  }

  /// Reads in parallel, truncation by open, large writes, caches dropped when files change, entries
  /// with attributes, directories in parallel, more pages, links kept.
  private static let features: UInt32 =
    1 << 0 | 1 << 3 | 1 << 5 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 18 | 1 << 22 | 1 << 23

  private func forget(_ request: ShareRequest) throws(ShareFailure) {
    if request.operation == .forget {
      let count = try request.quad(0)
      return state.withLock { $0.nodes.forget(request.node, count) }
    }
    let count = min(Int(try request.word(0)), 1 << 16)
    for index in 0..<count {
      let number = try request.quad(8 + index * 16)
      let lookups = try request.quad(16 + index * 16)
      state.withLock { $0.nodes.forget(number, lookups) }
    }
  }
}
