import ArgumentParser
import Engine
import Glibc
import Host
import HostBackends
import Machine

/// Boots a virtual machine and stays with it to its end.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Boot a virtual machine.",
    discussion: """
      Without --initrd the guest is a small one of Apus's own making: a shell on the terminal, or \
      COMMAND with its output, input and exit status. Without a terminal on standard input and \
      without COMMAND it says what it is and how long it took to boot.

      Leave a guest with poweroff, or by pressing Ctrl-] three times.
      """)

  @Option(help: "The kernel: a bzImage (vmlinuz) or an ELF vmlinux. Default: the host's own.")
  var kernel: String?

  @Option(help: "The initial RAM disk. Default: one made by Apus.")
  var initrd: String?

  @Option(help: "Words to add to the kernel's command line.")
  var append: String = ""

  @Option(name: [.short, .long], help: "Guest memory: a number and K, M, G or T.")
  var memory: ByteCount = .mebibytes(512)

  @Option(name: [.short, .customLong("cpus")], help: "Virtual processors.")
  var cpus: Int = 1

  @Option(name: [.customShort("M"), .long], help: "What the machine is like: micro or pc (PCI).")
  var machine: MachineConfiguration.Model = .micro

  @Option(
    name: .customLong("disk"),
    help: ArgumentHelp(
      "A disk: \(DiskOptions.grammar). Repeatable.", valueName: "file"),
    transform: DiskOptions.parsed)
  var disks: [DiskOptions] = []

  @Option(
    help:
      "The guest's files: small, a few of Apus's own, or host, this machine's; changes are lost.")
  var root: Root = .small

  @Option(name: .customLong("rw"), help: "A directory that the guest may change. Repeatable.")
  var writable: [String] = []

  @Option(
    name: .customLong("share"),
    help: """
      A directory of the host's: DIRECTORY:PLACE[:ro]. PLACE is a path, where the guest of Apus's own \
      mounts it, or a tag, by which any guest can (virtiofs). Repeatable.
      """)
  var shares: [ShareArgument] = []

  @Flag(help: "Throw away at the end what the guest writes to its disks.")
  var ephemeral = false

  @Option(help: "Who runs guest code.")
  var accel: MachineConfiguration.Accelerator = .auto

  @Flag(name: [.short, .long], help: "Show the kernel's console where it would stay hidden.")
  var verbose = false

  @OptionGroup var profiling: ProfileOptions

  @Argument(parsing: .postTerminator, help: "A command to run in the guest, after --.")
  var command: [String] = []

  func run() throws {
    let start = HostClock.nanoseconds
    let plan = try RunPlan(self)
    // Before there are other threads, which inherit it.
    let signals: SignalSource
    do {
      signals = try SignalSource([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH])
    } catch {
      throw Failure(error)
    }
    let symbols = try profiling.symbols.map { path throws(Failure) in try SymbolTable(path: path) }
    let profile = profiling.isWanted ? Profile.begin(keepsMap: profiling.perfMap) : nil
    defer { if let profile { profiling.report(profile.result, symbols) } }
    let choice = try BackendChoice(plan.configuration.accelerator, for: .linux)
    if plan.isVerbose { Apus.remark("guest code runs on \(choice.name): \(choice.why)") }
    let status: Int32
    switch choice.backend {
    case .kvm(let kernel):
      status = try GuestSession(plan, on: kernel, signals: signals, begunAt: start).run()
    case .soft(let engine):
      status = try GuestSession(plan, on: engine, signals: signals, begunAt: start).run()
    }
    throw Failure(nil, status: status)
  }
}

extension Run {
  /// What files a guest of Apus's own has.
  enum Root: String, CaseIterable, ExpressibleByArgument {
    case small
    case host
  }
}

extension ByteCount: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

extension MachineConfiguration.Accelerator: ExpressibleByArgument {}
extension MachineConfiguration.Model: ExpressibleByArgument {}
