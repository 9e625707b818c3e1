import DeviceModel
import PCDevices
import Virtio

/// What a machine consists of besides its memory.
struct MachineShape: Sendable {
  var devices: DeviceSet
  var processors: Int
}

/// Which devices a machine has.
enum DeviceSet: Sendable {
  /// A PC without a graphics card.
  case pc
  /// Interrupt controllers, a console port and virtio devices in memory, and nothing else.
  case thin
  /// A console port; a processor that halts ends the run.
  case bare

  var hasInterruptController: Bool { self != .bare }
  var hasTimer: Bool { self == .pc }
}

extension Board {
  /// The names of outputs that only bare guests have.
  static let consoleName = "console"

  /// Attaches what a machine of this kind has.
  mutating func attach(
    _ devices: DeviceSet, _ connections: MachineConnections
  ) throws(AttachError) {
    switch devices {
    case .pc:
      try attachPlatform(to: &self)
      try GuestChannel.attach(to: &self, onEvent: connections.onReport)
    case .thin:
      try attachBarePorts()
      try EntropyDevice.attach(.init(), to: &self)
    case .bare: try attachBarePorts()
    }
  }

  private func attachBarePorts() throws(AttachError) {
    let console = ConsolePort(output: outputs[Self.consoleName] ?? NullSink())
    try ports.attach(Shared(console), named: Self.consoleName, at: ConsolePort.ports)
    try ports.attach(
      Shared(ExitPort(exit: power)), named: "exit", at: ExitPort.port..<ExitPort.port + 1)
  }
}
