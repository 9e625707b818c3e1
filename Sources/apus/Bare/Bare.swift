import ArgumentParser
import Boot
import Glibc
import Host
import Machine

/// Runs a program without an operating system, and says how it ended.
struct Bare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a program without an operating system.",
    discussion: """
      The program has one processor in the mode of --mode, RAM from 0 on, and a console: what it \
      writes to port 0xe9 appears on standard output. It is done when it halts (HLT): its exit \
      status is then the low byte of RAX, and its registers are shown on standard error. Writing a \
      byte to port 0xf4 ends it with that status and without a word.

      With --start-info the machine also has interrupt controllers and a virtio entropy device, and \
      EBX holds the address of a structure that describes it; there HLT waits for an interrupt, \
      if interrupts are on. \
      docs/start-info.md tells the bytes. examples/ has guests of every kind.

      Status 125 is a guest that crashed, 128 + n a run that signal n ended.
      """)

  @Argument(help: "A flat binary, or an ELF file for x86 (32 or 64 bits).")
  var file: String

  @Option(
    help: """
      The mode it starts in: real, protected (32-bit, flat), paged (32-bit paging with 4M pages) or \
      long. Default: protected for a 32-bit ELF file and with --start-info, long for a 64-bit one, \
      real for a flat binary.
      """)
  var mode: BareMode?

  @Flag(help: "Give the machine interrupts and devices, and describe them in a structure.")
  var startInfo = false

  @Option(help: "Where a flat binary goes. Default: 0; with --start-info 0x100000.")
  var load: GuestAddress?

  @Option(help: "The first instruction. Default: the ELF file's, or the flat binary's first byte.")
  var entry: GuestAddress?

  @Option(name: [.short, .long], help: "Guest memory: a number and K, M, G or T.")
  var memory: ByteCount = .mebibytes(256)

  @Option(help: "Who runs guest code.")
  var accel: MachineConfiguration.Accelerator = .auto

  @Flag(name: [.short, .long], help: "Say who runs the guest, and why.")
  var verbose = false

  @Flag(help: "Print how it ended, its registers and its console as JSON, and nothing else.")
  var json = false

  /// What fits with the tables at its end, and below the devices.
  private static let memoryRange = ByteCount.mebibytes(1)...ByteCount.mebibytes(3 << 10)

  func run() throws {
    let plan = BarePlan(
      configuration: try machine(), isJSON: json, isVerbose: verbose)
    // Before there are other threads, which inherit it.
    let signals: SignalSource
    do {
      signals = try SignalSource([SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    } catch {
      throw Failure(error)
    }
    let choice = try BackendChoice(accel, for: .any)
    if verbose { Apus.remark("guest code runs on \(choice.name): \(choice.why)") }
    let status: Int32
    switch choice.backend {
    case .kvm(let kernel): status = try BareSession(plan, on: kernel, signals: signals).run()
    case .soft(let engine): status = try BareSession(plan, on: engine, signals: signals).run()
    }
    throw Failure(nil, status: status)
  }

  private func machine() throws(Failure) -> BareConfiguration {
    if !Self.memoryRange.contains(memory) {
      throw Failure(
        "-m \(memory) is not possible: a bare guest has \(Self.memoryRange.lowerBound) to "
          + "\(Self.memoryRange.upperBound) of memory.")
    }
    try memory.checkPages()
    var configuration = BareConfiguration(program: file)
    configuration.mode = mode
    configuration.address = load?.value
    configuration.start = entry?.value
    configuration.hasStartInfo = startInfo
    configuration.memory = memory
    configuration.accelerator = accel
    return configuration
  }
}

/// An address as people write it: decimal, or hexadecimal after `0x`.
struct GuestAddress: ExpressibleByArgument {
  let value: UInt64

  init?(argument: String) {
    let isHexadecimal = argument.hasPrefix("0x") || argument.hasPrefix("0X")
    let digits = isHexadecimal ? argument.dropFirst(2) : argument[...]
    // The standard library's parser would take a sign too.
    guard let first = digits.first, first != "+", first != "-",
      let value = UInt64(digits, radix: isHexadecimal ? 16 : 10)
    else { return nil }
    self.value = value
  }
}

extension BareMode: ExpressibleByArgument {}

extension ByteCount {
  /// Refuses half pages.
  func checkPages() throws(Failure) {
    if bytes % 4096 != 0 {
      throw Failure("-m \(self) is not a multiple of 4K, the size of a page; round it.")
    }
  }
}
