import DeviceModel
import Host
public import HostBackends
import Virtio

/// A device that somebody wants in a machine, besides what every machine has.
public enum DeviceRequest: Codable, Hashable, Sendable {
  /// Random numbers of the host's.
  case entropy
  case disk(DiskOptions)
  case share(ShareOptions)

  /// Builds the device and attaches it to the board of a machine with so many processors.
  func attach(to board: inout Board, processors: Int) throws(MachineError) {
    switch self {
    case .entropy:
      _ = try board.attaching { board throws(AttachError) in
        try board.attach(EntropyDevice(), named: EntropyDevice.name)
      }
    case .disk(let options):
      let disk = BlockDevice(
        try Self.open(options), serial: options.serial ?? "", queues: processors)
      let handle = try board.attaching { board throws(AttachError) in
        try board.attach(disk, named: "disk")
      }
      handle.connect { $0.connect(to: handle) }
    case .share(let options):
      let share = FileSystemDevice(try Self.serve(options), tag: options.tag)
      let handle = try board.attaching { board throws(AttachError) in
        try board.attach(share, named: "share")
      }
      handle.connect { $0.connect(to: handle) }
    }
  }

  private static func serve(_ options: ShareOptions) throws(MachineError) -> ShareServer {
    do throws(SystemError) {
      return try ShareServer(path: options.path, isReadOnly: options.isReadOnly)
    } catch {
      throw .share(options, error)
    }
  }

  private static func open(_ options: DiskOptions) throws(MachineError) -> any BlockStore {
    do throws(DiskError) {
      return try options.open()
    } catch {
      throw .disk(options, error)
    }
  }
}
