import Bits
internal import CLinux
import Glibc
import Host

extension ShareServer {
  /// What the driver is told about an open file: it may keep what it has of the file, and entries of
  /// a directory.
  private enum Caching {
    static let keep: UInt32 = 1 << 1
    static let directory: UInt32 = 1 << 3
  }

  func open(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    let node = try node(request.node)
    let isDirectory = request.operation == .openDirectory
    let flags = try openFlags(try request.word(0))
    if !isDirectory { try checkRegular(node.descriptor.rawValue) }
    let file = try result(
      apus_reopen(node.descriptor.rawValue, isDirectory ? O_RDONLY | O_DIRECTORY : flags))
    return openReply(file, isDirectory: isDirectory)
  }

  func create(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let directory = try node(request.node)
    let name = try request.name(16)
    let flags = try openFlags(try request.word(0))
    let isExclusive = CInt(bitPattern: try request.word(0)) & O_EXCL
    let place = directory.descriptor.rawValue
    let mode: UInt32 = try request.word(4) & 0o7777
    // First as a new file, which is then its creator's.
    let file = unsafe apus_create_at(place, name, flags | O_EXCL, mode)
    if file == -EEXIST && isExclusive == 0 {
      let step = try step(name, in: directory).descriptor.rawValue
      try checkRegular(step)
      let entry = try entry(name, in: request.node)
      return entry + openReply(try result(apus_reopen(step, flags)), isDirectory: false)
    }
    let open = openReply(try result(file), isDirectory: false)
    try giveAway(name, in: directory, request)
    return try entry(name, in: request.node) + open
  }

  /// The driver's flags without those that are its own business, or would lead elsewhere.
  private func openFlags(_ flags: UInt32) throws(ShareFailure) -> CInt {
    let kept = O_ACCMODE | O_APPEND | O_TRUNC | O_DSYNC | O_SYNC
    let flags = CInt(truncatingIfNeeded: flags) & kept
    if flags & (O_ACCMODE | O_TRUNC) != O_RDONLY { try checkWritable() }
    // The driver writes at offsets of its own; appending would ignore them.
    return (flags & ~O_APPEND) | O_NONBLOCK
  }

  private func openReply(_ file: CInt, isDirectory: Bool) -> [UInt8] {
    var reply = ShareReply()
    reply.append(keep(ShareHandle(FileDescriptor(owning: file))))
    reply.append(isDirectory ? Caching.directory | Caching.keep : Caching.keep)
    reply.append(UInt32(0))
    return reply.bytes
  }

  func release(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    let number = try request.quad(0)
    _ = state.withLock { $0.handles.removeValue(forKey: number) }
    return []
  }

  func read(_ request: ShareRequest, limit: Int) throws(ShareFailure) -> [UInt8] {
    let handle = try handle(try request.quad(0))
    let count = min(Int(try request.word(16)), max(limit, 0))
    let offset = try offset(request, 8)
    var read = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      read = unsafe apus_pread(handle.descriptor.rawValue, buffer.baseAddress, count, offset)
      used = max(read, 0)
    }
    try result(read)
    return bytes
  }

  func write(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let handle = try handle(try request.quad(0))
    let data = try request.data(from: 40)
    let count = min(Int(try request.word(16)), data.count)
    let offset = try offset(request, 8)
    let written = unsafe data.withUnsafeBytes { bytes in
      unsafe apus_pwrite(handle.descriptor.rawValue, bytes.baseAddress, count, offset)
    }
    var reply = ShareReply()
    reply.append(UInt32(try result(written)))
    reply.append(UInt32(0))
    return reply.bytes
  }

  private func offset(_ request: ShareRequest, _ place: Int) throws(ShareFailure) -> Int64 {
    guard let offset = Int64(exactly: try request.quad(place)) else {
      throw .error(EINVAL)
    }
    return offset
  }

  func seek(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    let handle = try handle(try request.quad(0))
    let whence = CInt(truncatingIfNeeded: try request.word(16))
    var reply = ShareReply()
    let place = try result(
      apus_seek(handle.descriptor.rawValue, try offset(request, 8), whence))
    reply.append(UInt64(place))
    return reply.bytes
  }

  func allocate(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let handle = try handle(try request.quad(0))
    let mode = CInt(truncatingIfNeeded: try request.word(24))
    try result(
      apus_allocate(
        handle.descriptor.rawValue, mode, try offset(request, 8), try offset(request, 16)))
    return []
  }

  func synchronize(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    let handle = try handle(try request.quad(0))
    let onlyData = CInt(truncatingIfNeeded: try request.word(8) & 1)
    try result(apus_synchronize(handle.descriptor.rawValue, onlyData))
    return []
  }

  // MARK: Directories

  func readDirectory(
    _ request: ShareRequest, limit: Int, withAttributes: Bool
  ) throws(ShareFailure) -> [UInt8] {
    let directory = try node(request.node)
    if isSynthetic(directory) { return [] }
    let handle = try handle(try request.quad(0))
    let limit = min(Int(try request.word(16)), limit)
    var count = 0
    let place = try offset(request, 8)
    let records = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 15) { buffer, used in
      count = unsafe apus_read_directory(
        handle.descriptor.rawValue, place, buffer.baseAddress, buffer.count)
      used = max(count, 0)
    }
    try result(count)
    var reply = ShareReply()
    for record in DirectoryRecord.all(in: records) {
      let size = (withAttributes ? 128 : 0) + record.replySize
      if reply.bytes.count + size > limit { break }
      if withAttributes { appendAttributes(of: record, in: request.node, to: &reply) }
      record.append(to: &reply)
    }
    return reply.bytes
  }

  /// What a lookup of the entry would say. The driver knows `.` and `..`, and looks up by itself what
  /// cannot be looked up now: those have number zero.
  private func appendAttributes(
    of record: DirectoryRecord, in directory: UInt64, to reply: inout ShareReply
  ) {
    if !record.isDots, (try? appendEntry(record.name, in: directory, to: &reply)) != nil { return }
    reply.append([UInt8](repeating: 0, count: 128))
  }
}

/// One entry of a directory, as getdents64(2) gives it.
private struct DirectoryRecord {
  let file: UInt64
  /// Where the next one begins.
  let next: UInt64
  let type: UInt8
  /// With its zero byte.
  let name: [CChar]

  var isDots: Bool { name == [0x2e, 0] || name == [0x2e, 0x2e, 0] }

  /// 24 bytes and the name, to the next multiple of 8.
  var replySize: Int { (24 + name.count - 1 + 7) & ~7 }

  static func all(in bytes: [UInt8]) -> [DirectoryRecord] {
    var records: [DirectoryRecord] = []
    var start = 0
    while start + 19 < bytes.count {
      let size = Int(bytes.loadLittle(UInt16.self, at: start + 16))
      guard size > 19, start + size <= bytes.count else { break }
      let name = bytes[start + 19..<start + size].prefix { $0 != 0 }
      records.append(
        DirectoryRecord(
          file: bytes.loadLittle(UInt64.self, at: start),
          next: bytes.loadLittle(UInt64.self, at: start + 8), type: bytes[start + 18],
          name: name.map(CChar.init(bitPattern:)) + [0]))
      start += size
    }
    return records
  }

  func append(to reply: inout ShareReply) {
    reply.append(file)
    reply.append(next)
    reply.append(UInt32(name.count - 1))
    reply.append(UInt32(type))
    reply.append(name.dropLast().map(UInt8.init(bitPattern:)))
    reply.append([UInt8](repeating: 0, count: replySize - (24 + name.count - 1)))
  }
}
