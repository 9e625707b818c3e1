import ArgumentParser
import HostBackends

/// Says what a disk image is.
struct DiskInfo: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "Say what an image is. A machine may be using it.")

  @Argument(help: "The image.")
  var file: String

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let description = try DiskCommand.speaking(of: file) { () throws(DiskError) in
      try DiskDescription(file)
    }
    print(json ? try DiskCommand.json(description) : description.text)
  }
}

extension DiskDescription {
  /// The description for people.
  var text: String {
    var lines = [
      "image         \(path)",
      "format        \(format.rawValue)\(version.map { $0 == 2 ? ", version 2" : "" } ?? "")",
      "size          \(DiskCommand.size(virtualSize))",
      "on the host   \(DiskCommand.size(actualSize))",
    ]
    if let clusterSize { lines.append("cluster       \(clusterSize) bytes") }
    if let compression { lines.append("compression   \(compression)") }
    if let backingFile {
      lines.append("backing file  \(backingFile)\(backingFormat.map { " (\($0))" } ?? "")")
    }
    lines += snapshots.map { "snapshot      \($0.identifier) \($0.name)" }
    if isDirty { lines.append("It was not closed; its counts are put right when it is written.") }
    if isCorrupt { lines.append("It has been found damaged.") }
    return lines.joined(separator: "\n")
  }
}
