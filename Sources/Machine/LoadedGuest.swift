public import Boot
public import GuestMemory
import Host
public import HostBackends

/// A guest's memory with everything in it that its first instruction needs.
public struct LoadedGuest: Sendable {
  public let memory: GuestMemory
  public let initial: InitialProcessorState
  /// When the files had been read, in nanoseconds of ``HostClock``.
  public let readTime: UInt64

  /// No kernel is larger than this, and no initial RAM disk that fits below the 32-bit hole.
  private static let kernelLimit = 1 << 30
  private static let initrdLimit = 3 << 30

  /// Reads the files of `configuration` and puts them where they belong; without an initial RAM
  /// disk there, `substitute` is made.
  public init(
    _ configuration: MachineConfiguration, substitute: Initramfs
  ) throws(MachineError) {
    let kernel = try Self.read(configuration.kernel, .kernel, limit: Self.kernelLimit)
    let initrd = try Self.initrd(configuration, substitute)
    readTime = HostClock.nanoseconds
    do throws(SystemError) {
      memory = try GuestMemory(size: configuration.memory.bytes)
    } catch {
      throw .memory(error)
    }
    let memory = memory
    let kernelPlace = try kernel.withBytes { file throws(MachineError) in
      try KernelImage.place(file, in: memory)
    }
    let boot = LinuxBoot(
      commandLine: configuration.commandLine,
      platform: ACPIPlatform(processorCount: configuration.processors))
    initial = try initrd.withBytes { bytes throws(MachineError) in
      do throws(BootError) {
        return try boot.prepare(kernelPlace, initrd: bytes, in: memory)
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
