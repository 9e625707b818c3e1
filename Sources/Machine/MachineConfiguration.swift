/// Everything that decides what a machine is like: the command line, a file and a snapshot all say
/// it with this type.
public struct MachineConfiguration: Codable, Hashable, Sendable {
  /// Who runs guest code.
  public enum Accelerator: String, Codable, CaseIterable, Sendable {
    /// The host's KVM where it can run the guest, else the software engine.
    case auto
    case kvm
    case soft
  }

  /// What the machine is like to a guest that looks for devices.
  public enum Model: String, Codable, CaseIterable, Sendable {
    /// Virtio devices in memory, and no bus to search: the quickest to boot.
    case micro
    /// Devices on a PCI bus, as any guest expects.
    case pc
  }

  /// Path of the kernel's file.
  public var kernel: String
  /// Path of the initial RAM disk, if it comes from a file.
  public var initrd: String?
  public var commandLine: String
  public var memory: ByteCount
  public var processors: Int
  public var accelerator: Accelerator
  public var model: Model
  public var devices: [DeviceRequest]

  public init(
    kernel: String, initrd: String? = nil, commandLine: String = "",
    memory: ByteCount = .mebibytes(512), processors: Int = 1, model: Model = .micro,
    devices: [DeviceRequest] = [.entropy]
  ) {
    self.kernel = kernel
    self.initrd = initrd
    self.commandLine = commandLine
    self.memory = memory
    self.processors = processors
    accelerator = .auto
    self.model = model
    self.devices = devices
  }
}
