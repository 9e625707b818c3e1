import DeviceModel
import Virtio

/// A device that somebody wants in a machine, besides what every machine has.
public enum DeviceRequest: Codable, Hashable, Sendable {
  /// Random numbers of the host's.
  case entropy

  /// Builds the device and attaches it.
  func attach(to board: inout Board) throws(AttachError) {
    switch self {
    case .entropy: try EntropyDevice.attach(.init(), to: &board)
    }
  }
}
