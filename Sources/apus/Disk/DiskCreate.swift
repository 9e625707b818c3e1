import ArgumentParser
import Host
import HostBackends
import Machine

/// Makes an empty disk.
struct DiskCreate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make an empty disk.",
    discussion: "A disk with --backing has at first what that has, and keeps only what differs.")

  @Argument(help: "The image to make; it must not be there yet.")
  var file: String

  @Argument(help: "How large: a number and K, M, G or T. Default: as large as the backing file.")
  var size: ByteCount?

  @Option(name: [.short, .long], help: "How its bytes lie in the file.")
  var format: DiskOptions.Format = .qcow2

  @Option(name: [.short, .long], help: "The image behind it, beside FILE if its path is relative.")
  var backing: String?

  @Option(help: "Bytes that come to be at a time, from 512 to 2097152, a power of two.")
  var clusterSize: Int = 65536

  func run() throws {
    guard clusterSize.nonzeroBitCount == 1, (512...2 << 20).contains(clusterSize) else {
      throw ValidationError("a cluster is 512 to 2097152 bytes, a power of two.")
    }
    if format == .raw && backing != nil {
      throw ValidationError("a raw image has nothing behind it; leave out --backing or --format.")
    }
    let behind = try backing.map { name in
      let place = name.hasPrefix("/") ? name : DiskCommand.folder(of: file) + name
      return try DiskCommand.speaking(of: place) { () throws(DiskError) in
        try DiskDescription(place)
      }
    }
    guard let bytes = size?.bytes ?? behind?.virtualSize, bytes > 0, bytes % 512 == 0 else {
      throw ValidationError(
        "a disk needs a size, whole sectors of 512 bytes: apus disk create FILE 8G.")
    }
    try DiskCommand.speaking(of: file) { () throws(DiskError) in
      if format == .raw { return try DiskCreation.raw(file, size: bytes) }
      var layout = QCOW2Layout(size: bytes)
      layout.clusterBits = clusterSize.trailingZeroBitCount
      (layout.backingFile, layout.backingFormat) = (backing, behind?.format)
      try DiskCreation.qcow2(file, layout)
    }
  }
}

extension DiskCommand {
  /// The folder that a file is in, as a path to put something behind.
  static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  }
}
