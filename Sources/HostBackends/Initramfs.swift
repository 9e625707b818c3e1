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

  public var purpose: Purpose
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
    entries += Self.textFiles
    entries.append(ArchiveEntry(path: "bin/busybox", content: .file(busybox, mode: 0o755)))
    entries += Self.applets.map { ArchiveEntry(path: "bin/\($0)", content: .link(to: "busybox")) }
    guard let image = ArchiveWriter.archive(entries) else { throw .archive }
    return image
  }

  private func order() -> InitramfsOrder {
    let variables =
      [
        "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root",
        "LOGNAME=root", "SHELL=/bin/sh", "TERM=\(terminal)",
      ] + environment
    switch purpose {
    case .shell(let window):
      return InitramfsOrder(
        mode: "shell", window: window, directory: "/root",
        environment: variables + ["PS1=\\u@\\h:\\w\\$ "], arguments: ["/bin/sh", "-i"])
    case .report:
      return command(["/bin/sh", "-c", Self.reportScript], variables)
    case .command(let arguments):
      return command(arguments, variables)
    }
  }

  private func command(_ arguments: [String], _ variables: [String]) -> InitramfsOrder {
    InitramfsOrder(
      mode: "command", window: Window(), directory: "/root", environment: variables,
      arguments: arguments)
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
