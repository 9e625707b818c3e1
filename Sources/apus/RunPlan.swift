import Glibc
import Host
import HostBackends
import Machine

/// A run as the command line asks for it, checked as far as that goes without starting anything.
struct RunPlan {
  /// What happens with the guest's console and with our standard streams.
  enum Mode: Equatable {
    /// The console is on our streams, in raw mode when they are a terminal.
    case console
    /// The guest says what it is, and we how long it took.
    case report
    case command([String])
  }

  let mode: Mode
  let isVerbose: Bool
  let isProfiled: Bool
  let configuration: MachineConfiguration
  private let mounts: [Initramfs.Mount]
  private let root: Run.Root

  /// The least that a Linux kernel can do anything in, and what page tables can map.
  private static let memoryRange = ByteCount.mebibytes(16)...ByteCount.mebibytes(8 << 20)

  /// The I/O APIC reaches no others.
  private static let processorRange = 1...254

  init(_ arguments: Run) throws(Failure) {
    mode = try Self.mode(arguments)
    isVerbose = arguments.verbose
    isProfiled = arguments.profiling.isWanted
    try Self.check(arguments)
    let sharing = try SharePlan(arguments)
    (mounts, root) = (sharing.mounts, arguments.root)
    var configuration = MachineConfiguration(
      kernel: try Self.kernel(arguments), initrd: arguments.initrd,
      commandLine: Self.commandLine(arguments, mode),
      memory: arguments.memory, processors: arguments.cpus, model: arguments.machine,
      devices: [.entropy] + Self.disks(arguments)
        + sharing.shares.map(DeviceRequest.share))
    configuration.accelerator = arguments.accel
    self.configuration = configuration
  }

  private static func disks(_ arguments: Run) -> [DeviceRequest] {
    arguments.disks.map { disk in
      var disk = disk
      disk.isEphemeral = disk.isEphemeral || arguments.ephemeral
      return .disk(disk)
    }
  }

  /// Whether a person sits at the guest's console.
  var isInteractive: Bool { mode == .console && TerminalModes.isTerminal(STDIN_FILENO) }

  /// The initial RAM disk of our own that serves the mode.
  var initramfs: Initramfs {
    var image = Initramfs(purpose)
    image.mounts = mounts
    if !mounts.isEmpty { image.modules = KernelModules(kernel: configuration.kernel).forShares() }
    if root == .host {
      (image.user, image.directory) = (HostCaller.user, HostCaller.directory)
      (image.environment, image.hasUsualEnvironment) = (HostCaller.environment, false)
      image.shell = HostCaller.shell
    }
    return image
  }

  private var purpose: Initramfs.Purpose {
    switch mode {
    case .console:
      let size = TerminalModes.size(STDIN_FILENO)
      return .shell(
        Initramfs.Window(
          rows: UInt16(clamping: size?.rows ?? 0), columns: UInt16(clamping: size?.columns ?? 0)))
    case .report: return .report
    case .command(let arguments): return .command(arguments)
    }
  }

  private static func kernel(_ arguments: Run) throws(Failure) -> String {
    if let path = arguments.kernel { return path }
    do throws(KernelLocator.Failure) {
      return try KernelLocator().find()
    } catch {
      throw Failure(error.sentence)
    }
  }

  /// What the kernel is told: where its console is, and to end a panic in a reset, which ends the
  /// run. Our own guests keep it quiet, for speed and for the reader; what is wrong still appears.
  /// They also do without the kernel's tests of its ciphers, a fifth of the time to boot.
  private static func commandLine(_ arguments: Run, _ mode: Mode) -> String {
    var words = ["console=ttyS0", "panic=-1"]
    if arguments.initrd == nil {
      words.append("cryptomgr.notests")
      if !arguments.verbose { words.append("quiet") }
    }
    // Without a bus there is nothing to look for, and the kernel need not complain.
    if arguments.machine == .micro { words.append("pci=off") }
    if !arguments.append.isEmpty { words.append(arguments.append) }
    return words.joined(separator: " ")
  }

  private static func mode(_ arguments: Run) throws(Failure) -> Mode {
    if let first = arguments.command.first {
      if arguments.initrd != nil {
        throw Failure(
          "a command can only run in the initial RAM disk that Apus makes; leave out --initrd.")
      }
      if first.isEmpty { throw Failure("the command's name is empty; say what to run after --.") }
      return .command(arguments.command)
    }
    if arguments.initrd == nil && !TerminalModes.isTerminal(STDIN_FILENO) { return .report }
    return .console
  }

  private static func check(_ arguments: Run) throws(Failure) {
    let memory = arguments.memory
    if memory < memoryRange.lowerBound {
      throw Failure(
        "\(memory) is too little memory for a Linux guest; give it \(memoryRange.lowerBound) or "
          + "more with -m.")
    }
    if memory > memoryRange.upperBound {
      throw Failure("\(memory) is more memory than a guest can have; \(memoryRange.upperBound) is.")
    }
    try memory.checkPages()
    if !processorRange.contains(arguments.cpus) {
      throw Failure(
        "-c \(arguments.cpus) is not possible: a guest has \(processorRange.lowerBound) to "
          + "\(processorRange.upperBound) processors.")
    }
    if arguments.append.utf8.contains(0) {
      throw Failure("--append has a zero byte in it, where the kernel would stop reading.")
    }
  }
}
