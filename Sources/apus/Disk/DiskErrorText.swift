import Glibc
import Host
import HostBackends

extension DiskError {
  /// Says why the guest cannot have the disk.
  func sentence(about disk: DiskOptions) -> String {
    switch self {
    case .system(let error) where [EACCES, EROFS, EPERM].contains(error.errno) && !disk.isReadOnly:
      "\(disk.path) may not be written (\(error.reason)); give the guest a disk that it only reads "
        + "with --disk \(disk.path),ro."
    default: sentence(about: disk.path)
    }
  }

  /// Says why the image at `path` cannot be used.
  func sentence(about path: String) -> String {
    switch self {
    case .system(let error) where error.errno == ENOENT:
      "there is no disk image \(path); correct the path."
    case .system(let error) where error.call == "qcow2":
      "\(path) is damaged: its tables lead nowhere; see what apus disk check \(path) says."
    case .system(let error): "\(path) cannot be used as a disk: \(error.reason)."
    case .notADisk:
      "\(path) is neither a file nor a block device; a disk needs the image of one."
    case .empty: "\(path) is empty; a disk has at least one sector of 512 bytes."
    case .foreignFormat(let name):
      "\(path) is a \(name) image, which Apus cannot read; convert it with qemu-img convert -O qcow2."
    case .qcow2(let fault): "\(path) \(fault.phrase)."
    case .backing(let place, let error):
      "\(path) needs \(place) behind it: \(error.sentence(about: place))"
    case .inUse(nil):
      "\(path) is in use by another program, which must end first."
    case .inUse(let holder?):
      "\(path) is in use by \(holder.name) (process \(holder.process)), which must end first."
    }
  }
}

extension QCOW2Fault {
  /// What is behind the path of an image in a sentence.
  fileprivate var phrase: String {
    switch self {
    case .noHeader: "has no header of a qcow2 image"
    case .version(let number): "is a qcow2 image of version \(number); Apus knows 2 and 3"
    case .encrypted: "is encrypted, which Apus cannot undo; convert it with qemu-img"
    case .feature(2):
      "keeps its data in another file, which Apus cannot do; convert it with qemu-img"
    case .feature(4): "has subclusters, which Apus cannot do; convert it with qemu-img"
    case .feature(let bit): "needs the feature of bit \(bit), which Apus does not know"
    case .compression(let number): "is compressed in a way that Apus does not know (\(number))"
    case .badField(let name): "cannot be a qcow2 image: its \(name) makes no sense"
    case .markedCorrupt:
      "has been found damaged and may only be read; qemu-img check -r all may repair it"
    case .backingProtocol(let name): "needs \(name) behind it, which is no file"
    case .endlessChain: "has a chain of backing files without an end"
    case .bitmaps: "has bitmaps, which Apus cannot check; use qemu-img check"
    case .tooLarge: "has more clusters than can be checked"
    }
  }
}
