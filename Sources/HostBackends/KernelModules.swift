import CArchive
import Glibc
import Host

/// The loadable parts of a kernel that a guest needs before it can reach its shares.
///
/// Looked for in `modules-RELEASE` beside the kernel, where `tools/fetch-kernel` puts them, and in
/// `/lib/modules/RELEASE`.
public struct KernelModules: Sendable {
  /// Folders that may have the modules, the first one first.
  private let folders: [String]

  /// Modules of the kernel in the file at `path`, by its name: `vmlinuz-RELEASE`.
  public init(kernel path: String) {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let name = parts.last.map(String.init) ?? ""
    let directory = parts.count > 1 ? parts.dropLast().joined(separator: "/") : "."
    let release = name.hasPrefix("vmlinuz-") ? String(name.dropFirst("vmlinuz-".count)) : name
    folders = [
      "\(directory)/modules-\(release)", "/lib/modules/\(release)", "/usr/lib/modules/\(release)",
    ]
  }

  /// What is needed to mount shares, on either kind of machine, in loading order. What is missing is
  /// part of the kernel itself, or not there in its version.
  private static let shares: [(folder: String, name: String)] = [
    ("drivers/virtio", "virtio_ring"), ("drivers/virtio", "virtio"),
    ("drivers/virtio", "virtio_pci_modern_dev"), ("drivers/virtio", "virtio_pci_legacy_dev"),
    ("drivers/virtio", "virtio_pci"), ("drivers/virtio", "virtio_mmio"),
    ("fs/fuse", "fuse"), ("fs/fuse", "virtiofs"), ("fs/overlayfs", "overlay"),
  ]

  /// The modules that mount shares; none when this kernel's are not to be found.
  public func forShares() -> [[UInt8]] {
    let folder = folders.first { unsafe access("\($0)/kernel", F_OK) == 0 }
    guard let folder else { return [] }
    return Self.shares.compactMap { Self.load("\(folder)/kernel/\($0.folder)/\($0.name).ko") }
  }

  /// No module is larger than this.
  private static let sizeLimit = 64 << 20

  /// A module, unpacked if it is compressed.
  private static func load(_ path: String) -> [UInt8]? {
    for (suffix, filter) in [
      ("", nil), (".xz", ARCHIVE_FILTER_XZ), (".zst", ARCHIVE_FILTER_ZSTD),
      (".gz", ARCHIVE_FILTER_GZIP),
    ] as [(String, CInt?)] {
      guard let file = try? FileContents(path: path + suffix, limit: sizeLimit) else { continue }
      return file.withBytes { filter == nil ? copy($0) : unpack($0, filter) }
    }
    return nil
  }

  private static func copy(_ bytes: RawSpan) -> [UInt8] {
    unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
  }

  private static func unpack(_ bytes: RawSpan, _ filter: CInt?) -> [UInt8]? {
    guard let filter, let reader = ArchiveReader(filter: filter) else { return nil }
    var result: [UInt8] = []
    let isWhole: Void? = try? reader.read(bytes) { piece in
      result += copy(piece)
      return result.count <= sizeLimit
    }
    return isWhole == nil ? nil : result
  }
}
