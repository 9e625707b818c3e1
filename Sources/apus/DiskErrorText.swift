import Glibc
import Host
import HostBackends

extension DiskError {
  /// Says why the guest cannot have the disk.
  func sentence(about disk: DiskOptions) -> String {
    switch self {
    case .system(let error) where error.errno == ENOENT:
      "there is no disk image \(disk.path); correct --disk."
    case .system(let error) where [EACCES, EROFS, EPERM].contains(error.errno) && !disk.isReadOnly:
      "\(disk.path) may not be written (\(error.reason)); give the guest a disk that it only reads "
        + "with --disk \(disk.path),ro."
    case .system(let error): "\(disk.path) cannot be used as a disk: \(error.reason)."
    case .notADisk:
      "\(disk.path) is neither a file nor a block device; --disk takes the image of a disk."
    case .empty: "\(disk.path) is empty; a disk has at least one sector of 512 bytes."
    }
  }
}
