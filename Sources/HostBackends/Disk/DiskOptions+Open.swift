public import DeviceModel
import Glibc
import Host

extension DiskOptions {
  /// Opens the disk.
  public func open() throws(DiskError) -> any BlockStore {
    let image = try image()
    return try DiskOpener.asDiskError { () throws(SystemError) in
      if let raw = image as? RawImage, let store = try RingStore(raw) { return store }
      return try DiskWorkers(image)
    }
  }

  private func image() throws(DiskError) -> any DiskImage {
    var opener = DiskOpener()
    (opener.isReadOnly, opener.cache) = (isReadOnly || isEphemeral, cache)
    let image = try opener.image(path, format: format)
    return isEphemeral && !isReadOnly ? try Self.overlay(on: image) : image
  }

  /// An image in a file without a name, which takes all that is written.
  private static func overlay(on image: any DiskImage) throws(DiskError) -> any DiskImage {
    try DiskOpener.asDiskError { () throws(SystemError) in
      let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/var/tmp"
      let file = DiskFile(try .temporary(in: folder), isReadOnly: false, cache: .unsafe)
      let header = try QCOW2Layout(size: image.capacity).write(to: file)
      return try QCOW2Image(header, in: file, backing: image)
    }
  }
}
