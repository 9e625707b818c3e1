import DeviceModel
import Glibc
import Host

/// Makes new images. A file that is there already is never touched.
public enum DiskCreation {
  public static func raw(_ path: String, size: UInt64) throws(DiskError) {
    try make(path) { file throws(SystemError) in try file.truncate(to: size) }
  }

  /// Makes a qcow2 image; its backing file must be there.
  public static func qcow2(_ path: String, _ layout: QCOW2Layout) throws(DiskError) {
    if let fault = layout.fault { throw .qcow2(fault) }
    try make(path) { file throws(SystemError) in try layout.write(to: file) }
  }

  private static func make(
    _ path: String, _ fill: (DiskFile) throws(SystemError) -> Void
  ) throws(DiskError) {
    try DiskOpener.asDiskError { () throws(SystemError) in
      let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
      do throws(SystemError) {
        try fill(DiskFile(file, isReadOnly: false))
      } catch {
        // Half an image is none.
        unsafe unlink(path)
        throw error
      }
    }
  }
}
