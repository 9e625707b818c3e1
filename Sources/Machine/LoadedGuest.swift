import Boot
public import GuestMemory
import Host
public import HostBackends

/// A guest's memory with its kernel in place, and what goes beside it when the machine is known.
public struct LoadedGuest: ~Copyable, Sendable {
  public let memory: GuestMemory
  private let kernel: PlacedKernel
  private let initrd: InitialDisk
  private let commandLine: String
  /// When the files had been read, in nanoseconds of ``HostClock``.
  public let readTime: UInt64

  /// No kernel is larger than this, and no initial RAM disk that fits below the 32-bit hole.
  private static let kernelLimit = 1 << 30
  private static let initrdLimit = 3 << 30

  /// Reads the files of `configuration` and puts the kernel where it belongs; without an initial
  /// RAM disk there, `substitute` is made.
  public init(
    _ configuration: MachineConfiguration, substitute: Initramfs
  ) throws(MachineError) {
    let file = try Self.read(configuration.kernel, .kernel, limit: Self.kernelLimit)
    let initrd = try Self.initrd(configuration, substitute)
    let readTime = HostClock.nanoseconds
    let memory = try Self.memory(configuration)
    kernel = try file.withBytes { bytes throws(MachineError) in
      try KernelImage.place(bytes, in: memory)
    }
    self.memory = memory
    self.initrd = initrd
    self.readTime = readTime
    commandLine = configuration.commandLine
  }

  private static func memory(
    _ configuration: MachineConfiguration
  ) throws(MachineError) -> GuestMemory {
    do throws(SystemError) {
      return try GuestMemory(size: configuration.memory.bytes)
    } catch {
      throw .memory(error)
    }
  }

  /// Puts the rest into the memory: the initial RAM disk, and what tells the kernel of `platform`.
  func start(on platform: ACPIPlatform) throws(MachineError) -> InitialProcessorState {
    let boot = LinuxBoot(commandLine: commandLine, platform: platform)
    let (kernel, memory) = (kernel, memory)
    return try initrd.withBytes { bytes throws(MachineError) in
      do throws(BootError) {
        return try boot.prepare(kernel, initrd: bytes, in: memory)
      } catch {
        throw .boot(error)
      }
    }
  }

  private static func read(
    _ path: String, _ role: MachineError.Role, limit: Int
  ) throws(MachineError) -> FileContents {
    do throws(FileContents.Failure) {
      return try FileContents(path: path, limit: limit)
    } catch {
      throw .file(role, error)
    }
  }

  private static func initrd(
    _ configuration: MachineConfiguration, _ substitute: Initramfs
  ) throws(MachineError) -> InitialDisk {
    if let path = configuration.initrd {
      return .file(try read(path, .initrd, limit: initrdLimit))
    }
    do throws(InitramfsError) {
      return .made(try substitute.image())
    } catch {
      throw .initramfs(error)
    }
  }
}

/// An initial RAM disk, wherever it comes from.
private enum InitialDisk: ~Copyable {
  case file(FileContents)
  case made([UInt8])

  borrowing func withBytes<Result, Failure>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    switch self {
    case .file(let file): try file.withBytes(body)
    case .made(let bytes): try unsafe body(bytes.span.bytes)
    }
  }
}
