public import DeviceModel
import Glibc
import Host

extension DiskOptions {
  /// Opens the disk.
  public func open() throws(DiskError) -> any BlockStore {
    let image = try image()
    do throws(SystemError) {
      return try DiskWorkers(image)
    } catch {
      throw .system(error)
    }
  }

  private func image() throws(DiskError) -> RawImage {
    let file = try opened()
    let size = try Self.size(of: file)
    return RawImage(file, capacity: size, isReadOnly: isReadOnly)
  }

  private func opened() throws(DiskError) -> FileDescriptor {
    do throws(SystemError) {
      // Not blocking: a pipe's other end may never come.
      return try .open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_NONBLOCK)
    } catch {
      throw .system(error)
    }
  }

  private static func size(of file: borrowing FileDescriptor) throws(DiskError) -> UInt64 {
    let size: UInt64?
    do throws(SystemError) {
      size = try file.diskSize()
    } catch {
      throw .system(error)
    }
    guard let size else { throw .notADisk }
    if size < UInt64(BlockRequest.sector) { throw .empty }
    return size
  }
}
