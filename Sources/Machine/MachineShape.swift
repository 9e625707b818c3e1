import DeviceModel
import PCDevices
import Virtio

/// What a machine consists of besides its memory.
package struct MachineShape: Sendable {
  package var devices: DeviceSet
  package var processors: Int
  /// What somebody wants besides.
  package var requests: [DeviceRequest]

  package init(devices: DeviceSet, processors: Int, requests: [DeviceRequest] = []) {
    (self.devices, self.processors, self.requests) = (devices, processors, requests)
  }
}

/// Which devices a machine has.
package enum DeviceSet: Sendable {
  /// A PC without a graphics card, with a PCI bus.
  case pc
  /// The same without PCI: virtio devices are in memory.
  case micro
  /// Interrupt controllers, a console port and virtio devices in memory, and nothing else.
  case thin
  /// A console port; a processor that halts ends the run.
  case bare

  var hasInterruptController: Bool { self != .bare }
  /// Whether an operating system finds what it knows of PCs: timer, clock, ACPI.
  var isPersonalComputer: Bool { self == .pc || self == .micro }

  init(_ model: MachineConfiguration.Model) { self = model == .pc ? .pc : .micro }
}

extension Board {
  /// The names of outputs that only bare guests have.
  static let consoleName = "console"

  /// Attaches what a machine of this shape has, and what somebody wants besides.
  mutating func populate(
    _ shape: MachineShape, _ connections: MachineConnections
  ) throws(MachineError) {
    try attaching { board throws(AttachError) in try board.attach(shape.devices, connections) }
    for request in shape.requests { try request.attach(to: &self, processors: shape.processors) }
    try attaching { board throws(AttachError) in try board.pci?.assignAddresses() }
  }

  /// What a device cannot have is a machine that cannot be.
  mutating func attaching<Result>(
    _ body: (inout Board) throws(AttachError) -> Result
  ) throws(MachineError) -> Result {
    do throws(AttachError) {
      return try body(&self)
    } catch {
      throw .devices(error)
    }
  }

  private mutating func attach(
    _ devices: DeviceSet, _ connections: MachineConnections
  ) throws(AttachError) {
    switch devices {
    case .pc, .micro:
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
