internal import CLinux
import Glibc
import Host

extension ShareServer {
  func lookup(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try entry(try request.name(0), in: request.node)
  }

  /// One step down from a directory: the file's number, and its attributes.
  func entry(_ name: [CChar], in directory: UInt64) throws(ShareFailure) -> [UInt8] {
    var reply = ShareReply()
    try appendEntry(name, in: directory, to: &reply)
    return reply.bytes
  }

  func appendEntry(
    _ name: [CChar], in directory: UInt64, to reply: inout ShareReply
  ) throws(ShareFailure) {
    let parent = try node(directory)
    if isSynthetic(parent) { throw .error(ENOENT) }
    let node = try step(name, in: parent)
    let status = try status(node.descriptor.rawValue)
    let place = ShareNodes.Place(directory: directory, name: name)
    let number = state.withLock { $0.nodes.add(node, at: place) }
    reply.append(number)
    reply.append(UInt64(0))  // generation
    reply.append(Self.validSeconds)
    reply.append(Self.validSeconds)
    reply.append(UInt64(0))
    reply.append(status)
  }

  /// File systems whose files are not files: the host's processes and devices. A guest has its own.
  func isSynthetic(_ node: ShareNode) -> Bool {
    let device = node.identity.device
    if let known = state.withLock({ $0.kinds[device] }) { return known }
    let kind = apus_file_system_kind(node.descriptor.rawValue)
    let isSynthetic = Self.syntheticKinds.contains(kind)
    state.withLock { $0.kinds[device] = isSynthetic }
    return isSynthetic
  }

  /// proc, sysfs, debugfs, tracefs, securityfs, cgroup, cgroup2, devpts, binfmt_misc.
  ///
  /// Reference: linux/magic.h
  private static let syntheticKinds: Set<Int> = [
    0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0x27_e0eb, 0x6367_7270, 0x1cd1,
    0x4249_4e4d,
  ]

  func readLink(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    let file = try node(request.node).descriptor.rawValue
    var count: CInt = 0
    let target = unsafe [CChar](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, used in
      guard let base = buffer.baseAddress else { return }
      count = unsafe apus_read_link(file, base, buffer.count)
      used = Int(max(count, 0))
    }
    try result(count)
    return target.map(UInt8.init(bitPattern:))
  }

  func makeEntry(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let directory = try node(request.node)
    let place = directory.descriptor.rawValue
    let name: [CChar]
    switch request.operation {
    case .makeSymbolicLink:
      let texts = try request.texts(0, count: 2)
      name = try request.name(0)
      try result(unsafe apus_make_link(place, name, texts[1]))
    case .makeDirectory:
      name = try request.name(8)
      try result(unsafe apus_make_directory(place, name, try request.word(0) & 0o7777))
    case .makeNode:
      name = try request.name(16)
      let mode: UInt32 = try request.word(0)
      // A guest gets no way to the host's devices.
      if [S_IFBLK, S_IFCHR].contains(mode & S_IFMT) { throw .error(EPERM) }
      try result(unsafe apus_make_node(place, name, mode & (S_IFMT | 0o7777), 0))
    default:
      name = try request.name(8)
      let old = try node(try request.quad(0))
      try checkNoLink(old.descriptor.rawValue)
      try result(unsafe apus_link(old.descriptor.rawValue, place, name))
      return try entry(name, in: request.node)
    }
    try giveAway(name, in: directory, request)
    return try entry(name, in: request.node)
  }

  /// A new file belongs to who asked for it, where this process may give files away.
  func giveAway(
    _ name: [CChar], in directory: ShareNode, _ request: ShareRequest
  ) throws(ShareFailure) {
    guard ownsForOthers else { return }
    let file = try step(name, in: directory).descriptor.rawValue
    try result(apus_change_owner(file, request.user, request.group))
  }

  func remove(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let isDirectory: CInt = request.operation == .removeDirectory ? 1 : 0
    try result(
      unsafe apus_remove(
        try node(request.node).descriptor.rawValue, try request.name(0), isDirectory))
    return []
  }

  func rename(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let hasFlags = request.operation == .renameWithFlags
    let flags: UInt32 = hasFlags ? try request.word(8) : 0
    let target = try node(try request.quad(0))
    let (old, new) = try request.twoNames(hasFlags ? 16 : 8)
    try result(
      unsafe apus_rename(
        try node(request.node).descriptor.rawValue, old, target.descriptor.rawValue, new, flags))
    let place = ShareNodes.Place(directory: try request.quad(0), name: new)
    state.withLock {
      $0.nodes.move(ShareNodes.Place(directory: request.node, name: old), to: place)
    }
    return []
  }
}
