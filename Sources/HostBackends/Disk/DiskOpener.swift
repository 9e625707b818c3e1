import DeviceModel
import Glibc
import Host

/// Opens an image and what is behind it.
public struct DiskOpener {
  public var isReadOnly = false
  public var cache = DiskFile.Cache.writeback
  /// Whether others are kept from changing what is read, and from using what is written.
  public var isLocked = true
  private var depth = 0

  /// Longer chains of backing files are loops.
  private static let depthLimit = 64

  public init() {}

  /// - Parameter format: recognised if there is none.
  public func image(
    _ path: String, format: DiskOptions.Format? = nil
  ) throws(DiskError) -> any DiskImage {
    let file = try file(path)
    let head = try Self.asDiskError { () throws(SystemError) in
      try file.bytes(at: 0, count: 1 << 16)
    }
    switch (format, DiskFormat(head)) {
    case (.qcow2, _), (nil, .qcow2): return try qcow2(file, path: path)
    case (nil, .foreign(let name)): throw .foreignFormat(name)
    default:
      let size = try Self.asDiskError { () throws(SystemError) in try file.size() }
      if size < UInt64(BlockRequest.sector) { throw .empty }
      return RawImage(file, capacity: size, isGuess: format == nil)
    }
  }

  /// Opens and locks a file.
  func file(_ path: String) throws(DiskError) -> DiskFile {
    let file = try Self.asDiskError { () throws(SystemError) in
      // Not blocking: a pipe's other end may never come.
      try FileDescriptor.open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_NONBLOCK)
    }
    let size = try Self.asDiskError { () throws(SystemError) in try file.diskSize() }
    if size == nil { throw .notADisk }
    // From here on transfers may wait.
    _ = fcntl(file.rawValue, F_SETFL, 0)
    if isLocked, (try? file.tryLock(exclusively: !isReadOnly)) == false {
      throw .inUse(by: LockHolder.find(file))
    }
    return DiskFile(file, isReadOnly: isReadOnly, cache: cache)
  }

  private func qcow2(_ file: DiskFile, path: String) throws(DiskError) -> QCOW2Image {
    let header = try QCOW2Header(file)
    if header.features.contains(.corrupt) && !isReadOnly { throw .qcow2(.markedCorrupt) }
    var backing: (any DiskImage)?
    if let name = header.backingFile { backing = try self.backing(name, of: path, header) }
    let image = try Self.asDiskError { () throws(SystemError) in
      try QCOW2Image(header, in: file, backing: backing)
    }
    if !isReadOnly { try image.prepareWriting() }
    return image
  }

  /// Opens a backing file, to be read only.
  private func backing(
    _ name: String, of path: String, _ header: QCOW2Header
  ) throws(DiskError) -> any DiskImage {
    if depth == Self.depthLimit { throw .qcow2(.endlessChain) }
    let place = try Self.place(of: name, beside: path)
    var opener = self
    opener.isReadOnly = true
    opener.depth += 1
    do throws(DiskError) {
      return try opener.image(place, format: header.backingFormat.flatMap(DiskOptions.Format.init))
    } catch {
      // The innermost file is the one to speak of.
      if case .backing = error { throw error }
      throw .backing(path: place, error)
    }
  }

  /// Where a backing file is, as its name is written in the image at `path`.
  static func place(of name: String, beside path: String) throws(DiskError) -> String {
    var name = name
    if name.hasPrefix("file:") { name.removeFirst(5) }
    if name.hasPrefix("/") { return name }
    let first = name.prefix { $0 != "/" }
    if first.contains(":") { throw .qcow2(.backingProtocol(name)) }
    guard let slash = path.lastIndex(of: "/") else { return name }
    return path[...slash] + name
  }

  static func asDiskError<Result: ~Copyable>(
    _ body: () throws(SystemError) -> Result
  ) throws(DiskError) -> Result {
    do throws(SystemError) {
      return try body()
    } catch {
      throw .system(error)
    }
  }
}

extension QCOW2Header {
  /// Reads the header of a file.
  init(_ file: DiskFile) throws(DiskError) {
    let bytes = try DiskOpener.asDiskError { () throws(SystemError) in
      try file.bytes(at: 0, count: 1 << 16)
    }
    do throws(QCOW2Fault) {
      try self.init(bytes)
    } catch {
      throw .qcow2(error)
    }
  }
}
