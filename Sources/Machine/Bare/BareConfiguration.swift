public import Boot

/// Everything that decides how a program runs without an operating system.
public struct BareConfiguration: Codable, Hashable, Sendable {
  /// Path of a flat binary or an ELF file.
  public var program: String
  /// The mode in which it starts; `nil` for the one that suits the file, or protected mode with a
  /// start structure.
  public var mode: BareMode?
  /// Where a flat binary goes; `nil` for 0, or 1 MiB in a machine with a start structure.
  public var address: UInt64?
  /// The first instruction, if not where the file says.
  public var start: UInt64?
  /// Whether the machine has interrupt controllers and virtio devices, and a structure that
  /// describes them.
  public var hasStartInfo = false
  public var memory: ByteCount = .mebibytes(256)
  public var accelerator = MachineConfiguration.Accelerator.auto

  public init(program: String) { self.program = program }
}
