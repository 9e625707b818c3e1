internal import CLinux
import Glibc

extension ShareServer {
  /// For how many seconds the driver may believe what it was told; the host may change files.
  static let validSeconds: UInt64 = 1

  func attributes(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try attributesReply(try node(request.node))
  }

  /// Seconds of validity, then the attributes.
  private func attributesReply(_ node: ShareNode) throws(ShareFailure) -> [UInt8] {
    var reply = ShareReply()
    reply.append(Self.validSeconds)
    reply.append(UInt64(0))
    reply.append(try status(node.descriptor.rawValue))
    return reply.bytes
  }

  func status(_ descriptor: CInt) throws(ShareFailure) -> stat {
    var status = stat()
    try result(unsafe apus_status(descriptor, &status))
    return status
  }

  /// Which attributes a request changes.
  ///
  /// Reference: linux/fuse.h, FATTR_MODE and following.
  private struct Changes: OptionSet {
    let rawValue: UInt32
    static let mode = Self(rawValue: 1 << 0)
    static let user = Self(rawValue: 1 << 1)
    static let group = Self(rawValue: 1 << 2)
    static let size = Self(rawValue: 1 << 3)
    static let accessTime = Self(rawValue: 1 << 4)
    static let changeTime = Self(rawValue: 1 << 5)
    static let accessNow = Self(rawValue: 1 << 7)
    static let changeNow = Self(rawValue: 1 << 8)
  }

  func setAttributes(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let node = try node(request.node)
    let file = node.descriptor.rawValue
    let changes = Changes(rawValue: try request.word(0))
    if changes.contains(.mode) {
      try checkNoLink(file)
      try result(apus_change_mode(file, try request.word(68) & 0o7777))
    }
    if !changes.isDisjoint(with: [.user, .group]) {
      let user: UInt32 = changes.contains(.user) ? try request.word(76) : .max
      let group: UInt32 = changes.contains(.group) ? try request.word(80) : .max
      try result(apus_change_owner(file, user, group))
    }
    if changes.contains(.size) {
      try checkRegular(file)
      guard let size = Int64(exactly: try request.quad(16)) else { throw .error(EFBIG) }
      try result(apus_change_size(file, size))
    }
    if !changes.isDisjoint(with: [.accessTime, .changeTime, .accessNow, .changeNow]) {
      let times = [
        changes.contains(.accessNow)
          ? Self.now
          : changes.contains(.accessTime) ? try time(request, 32, 56) : Self.unchanged,
        changes.contains(.changeNow)
          ? Self.now
          : changes.contains(.changeTime) ? try time(request, 40, 60) : Self.unchanged,
      ]
      try result(unsafe apus_change_times(file, times))
    }
    return try attributesReply(node)
  }

  // UTIME_NOW and UTIME_OMIT of utimensat(2).
  private static let now = timespec(tv_sec: 0, tv_nsec: 0x3fff_ffff)
  private static let unchanged = timespec(tv_sec: 0, tv_nsec: 0x3fff_fffe)

  /// A time whose seconds and nanoseconds are at these offsets.
  private func time(
    _ request: ShareRequest, _ seconds: Int, _ nanoseconds: Int
  ) throws(ShareFailure) -> timespec {
    let fraction = try request.word(nanoseconds)
    if fraction > 999_999_999 { throw .error(EINVAL) }
    let whole = try request.quad(seconds)
    return timespec(tv_sec: Int(truncatingIfNeeded: whole), tv_nsec: Int(fraction))
  }

  /// Calls that follow a link must not be given one.
  func checkNoLink(_ file: CInt) throws(ShareFailure) {
    if try status(file).st_mode & S_IFMT == S_IFLNK { throw .error(EOPNOTSUPP) }
  }

  /// A pipe or a device would block the server, or be the host's own.
  func checkRegular(_ file: CInt) throws(ShareFailure) {
    switch try status(file).st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw .error(EISDIR)
    default: throw .error(EACCES)
    }
  }

  func fileSystem(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    var status = statvfs()
    try result(unsafe apus_file_system(try node(request.node).descriptor.rawValue, &status))
    var reply = ShareReply()
    for number in [
      status.f_blocks, status.f_bfree, status.f_bavail, status.f_files, status.f_ffree,
    ] { reply.append(UInt64(number)) }
    for number in [status.f_bsize, status.f_namemax, status.f_frsize] {
      reply.append(UInt32(truncatingIfNeeded: number))
    }
    reply.append([UInt8](repeating: 0, count: 28))
    return reply.bytes
  }

  // MARK: Extended attributes

  private static let attributeLimit = 1 << 16

  func getExtended(_ request: ShareRequest, limit: Int) throws(ShareFailure) -> [UInt8] {
    let name = try request.texts(8)[0]
    let file = try node(request.node).descriptor.rawValue
    try checkNoLink(file)
    return try unsafe extended(wanted: try request.word(0), limit: limit) {
      buffer throws(ShareFailure) in
      unsafe apus_get_attribute(file, name, buffer.baseAddress, buffer.count)
    }
  }

  func listExtended(_ request: ShareRequest, limit: Int) throws(ShareFailure) -> [UInt8] {
    let file = try node(request.node).descriptor.rawValue
    try checkNoLink(file)
    return try unsafe extended(wanted: try request.word(0), limit: limit) {
      buffer throws(ShareFailure) in
      unsafe apus_list_attributes(
        file, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
    }
  }

  /// The bytes that `fetch` has, or only their count for a driver that wants none yet.
  private func extended(
    wanted: UInt32, limit: Int,
    _ fetch: (UnsafeMutableRawBufferPointer) throws(ShareFailure) -> Int
  ) throws(ShareFailure) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: Self.attributeLimit)
    var count = 0
    unsafe buffer.withUnsafeMutableBytes { bytes in
      count = (try? unsafe fetch(bytes)) ?? -Int(EIO)
    }
    try result(count)
    if wanted == 0 {
      var reply = ShareReply()
      reply.append(UInt32(count))
      reply.append(UInt32(0))
      return reply.bytes
    }
    if count > min(Int(wanted), limit) { throw .error(ERANGE) }
    return Array(buffer.prefix(count))
  }

  func setExtended(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let file = try node(request.node).descriptor.rawValue
    try checkNoLink(file)
    let (size, flags): (UInt32, UInt32) = (try request.word(0), try request.word(4))
    let name = try request.texts(8)[0]
    let value = Array(try request.data(from: 8 + name.count))
    guard value.count >= Int(size), Int(size) <= Self.attributeLimit else { throw .malformed }
    try result(
      unsafe apus_set_attribute(file, name, value, Int(size), CInt(truncatingIfNeeded: flags)))
    return []
  }

  func removeExtended(_ request: ShareRequest) throws(ShareFailure) -> [UInt8] {
    try checkWritable()
    let file = try node(request.node).descriptor.rawValue
    try checkNoLink(file)
    try result(unsafe apus_remove_attribute(file, try request.texts(0)[0]))
    return []
  }
}

extension ShareReply {
  /// A file's attributes as drivers read them.
  ///
  /// Reference: linux/fuse.h, struct fuse_attr.
  mutating func append(_ status: stat) {
    append(UInt64(status.st_ino))
    append(UInt64(bitPattern: Int64(status.st_size)))
    append(UInt64(bitPattern: Int64(status.st_blocks)))
    let times = [status.st_atim, status.st_mtim, status.st_ctim]
    for time in times { append(UInt64(bitPattern: Int64(time.tv_sec))) }
    for time in times { append(UInt32(truncatingIfNeeded: time.tv_nsec)) }
    append(status.st_mode)
    append(UInt32(truncatingIfNeeded: status.st_nlink))
    append(status.st_uid)
    append(status.st_gid)
    append(UInt32(truncatingIfNeeded: status.st_rdev))
    append(UInt32(truncatingIfNeeded: status.st_blksize))
    append(UInt32(0))
  }
}
