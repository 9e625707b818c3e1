import ArgumentParser
import Glibc
import Host
import HostBackends

/// Copies a disk into a new image.
struct DiskConvert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Copy a disk into a new image, of another format perhaps.",
    discussion: "The new image needs no backing file, and has room only for what is not zero.")

  @Argument(help: "The image to read.")
  var source: String

  @Argument(help: "The image to make; it must not be there yet.")
  var target: String

  @Option(name: [.short, .long], help: "How the new image's bytes lie in its file.")
  var format: DiskOptions.Format = .qcow2

  @Option(help: "How the source's do. Default: recognised.")
  var sourceFormat: DiskOptions.Format?

  func run() throws {
    var opener = DiskOpener()
    opener.isReadOnly = true
    let old = try DiskCommand.speaking(of: source) { [opener] () throws(DiskError) in
      try opener.image(source, format: sourceFormat)
    }
    let new = try DiskCommand.speaking(of: target) { () throws(DiskError) in
      switch format {
      case .raw: try DiskCreation.raw(target, size: old.capacity)
      case .qcow2: try DiskCreation.qcow2(target, QCOW2Layout(size: old.capacity))
      }
      return try DiskOpener().image(target, format: format)
    }
    var progress = Progress(total: old.capacity)
    do throws(SystemError) {
      try DiskCopy(from: old, to: new).run { progress.show($0) }
      progress.end()
    } catch {
      progress.end()
      _ = unsafe unlink(target)
      throw Failure("\(source) could not be copied to \(target): \(error.reason).")
    }
  }
}

/// How much of a long work is done, on a terminal.
struct Progress {
  private let total: UInt64
  private let isShown = TerminalModes.isTerminal(STDERR_FILENO)
  private var last: UInt64 = .max

  init(total: UInt64) { self.total = total }

  mutating func show(_ done: UInt64) {
    let percent = total == 0 ? 100 : done / max(total / 100, 1)
    guard isShown, percent != last else { return }
    last = percent
    let filled = Int(min(percent, 100)) * 40 / 100
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 40 - filled)
    write("\r[\(bar)] \(min(percent, 100)) %")
  }

  /// Leaves the line as if nothing had been there.
  mutating func end() {
    if isShown { write("\r\u{1b}[K") }
  }

  private func write(_ text: String) {
    if let output = try? FileDescriptor.duplicate(of: STDERR_FILENO) {
      try? output.writeAll(Array(text.utf8))
    }
  }
}
