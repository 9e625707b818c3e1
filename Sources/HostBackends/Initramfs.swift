public import Host

/// Why no initial RAM disk can be made.
public enum InitramfsError: Error, Hashable {
  /// None of these paths has a busybox (Debian: package busybox-static).
  case noBusybox(tried: [String])
  case unreadableBusybox(path: String, FileContents.Failure)
  /// It needs libraries that the guest has not.
  case busyboxNotStatic(path: String)
  case emptyCommand
  case commandTooLong(bytes: Int)
  case zeroByte(in: String)
  /// libarchive could not write it.
  case archive
}

/// An initial RAM disk of Apus's own: Debian's busybox, and a first program that does one thing.
public struct Initramfs: Hashable, Sendable {
  /// The size of a terminal, in characters; zeros when it is not known.
  public struct Window: Hashable, Sendable {
    public var rows: UInt16
    public var columns: UInt16

    public init(rows: UInt16 = 0, columns: UInt16 = 0) {
      (self.rows, self.columns) = (rows, columns)
    }
  }

  /// What the guest is to do before it powers itself off.
  public enum Purpose: Hashable, Sendable {
    /// An interactive shell on the console.
    case shell(Window)
    /// A few lines about the guest, on the channel's output.
    case report
    /// A program, looked for as a shell does, with its streams on the channel.
    case command([String])
  }

  /// Who runs the command.
  public struct User: Hashable, Sendable {
    public var number: UInt32
    public var group: UInt32
    /// The other groups; 64 at most count.
    public var groups: [UInt32]

    public init(number: UInt32 = 0, group: UInt32 = 0, groups: [UInt32] = []) {
      (self.number, self.group, self.groups) = (number, group, groups)
    }
  }

  /// A share of the host's, and where the guest's first program mounts it. One at "/" becomes the
  /// root, under an overlay in the guest's memory.
  public struct Mount: Hashable, Sendable {
    public var tag: String
    public var path: String

    public init(tag: String, path: String) { (self.tag, self.path) = (tag, path) }
  }

  public var purpose: Purpose
  public var user = User()
  /// Where a command begins.
  public var directory = "/root"
  public var mounts: [Mount] = []
  /// Modules for the guest's kernel, in an order in which they can be loaded.
  public var modules: [[UInt8]] = []
  /// Whether root's usual environment comes before ``environment``.
  public var hasUsualEnvironment = true
  /// What an interactive shell is.
  public var shell = "/bin/sh"
  /// The kind of terminal that the console is.
  public var terminal = "linux"
  /// More environment, each `NAME=value`; later ones win.
  public var environment: [String] = []

  public init(_ purpose: Purpose) { self.purpose = purpose }

  /// Where Debian and others put a static busybox.
  public static let busyboxPaths = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox-static"]

  /// The image as bytes, for the kernel to unpack.
  public func image() throws(InitramfsError) -> [UInt8] {
    let order = try order().bytes()
    let busybox = try Self.busybox()
    var entries = Self.directories + Self.devices
    entries.append(ArchiveEntry(path: "init", content: .file(Self.program, mode: 0o755)))
    entries.append(ArchiveEntry(path: "etc/apus/order", content: .file(order, mode: 0o600)))
    entries += Self.textFiles + mountEntries + moduleEntries
    entries.append(ArchiveEntry(path: "bin/busybox", content: .file(busybox, mode: 0o755)))
    entries += Self.applets.map { ArchiveEntry(path: "bin/\($0)", content: .link(to: "busybox")) }
    guard let image = ArchiveWriter.archive(entries) else { throw .archive }
    return image
  }

  private var moduleEntries: [ArchiveEntry] {
    [ArchiveEntry(path: "etc/apus/modules", content: .directory(mode: 0o755))]
      + modules.enumerated().map { number, module in
        ArchiveEntry(path: "etc/apus/modules/\(number)", content: .file(module, mode: 0o600))
      }
  }

  private var mountEntries: [ArchiveEntry] {
    if mounts.isEmpty { return [] }
    var text: [UInt8] = []
    for mount in mounts { text += Array(mount.tag.utf8) + [0] + Array(mount.path.utf8) + [0] }
    return [ArchiveEntry(path: "etc/apus/mounts", content: .file(text, mode: 0o600))]
  }

  private func order() -> InitramfsOrder {
    let usual = [
      "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root",
      "LOGNAME=root", "SHELL=/bin/sh", "TERM=\(terminal)",
    ]
    let variables = (hasUsualEnvironment ? usual : []) + environment
    switch purpose {
    case .shell(let window):
      return InitramfsOrder(
        mode: "shell", window: window, directory: directory, user: user,
        environment: variables + ["PS1=\\u@\\h:\\w\\$ "], arguments: [shell, "-i"])
    case .report:
      return command(["/bin/sh", "-c", Self.reportScript], variables)
    case .command(let arguments):
      return command(arguments, variables)
    }
  }

  private func command(_ arguments: [String], _ variables: [String]) -> InitramfsOrder {
    InitramfsOrder(
      mode: "command", window: Window(), directory: directory, user: user,
      environment: variables, arguments: arguments)
  }

  /// What a guest says of itself; one process beside the shell.
  private static let reportScript = """
    uname -a
    while read -r name value unit; do
      case $name in
        MemTotal:) total=$((value / 1024));;
        MemAvailable:) echo "memory: $total MiB, $((value / 1024)) MiB available";;
      esac
    done </proc/meminfo
    count=0
    while read -r name rest; do
      case $name$rest in
        processor*) count=$((count + 1));;
        modelname*) model=${rest#*: };;
      esac
    done </proc/cpuinfo
    echo "processors: $count, $model"
    read -r up idle </proc/uptime
    echo "up: $up seconds"
    """
}
