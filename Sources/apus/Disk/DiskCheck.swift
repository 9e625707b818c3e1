import ArgumentParser
import HostBackends

/// Looks for damage in an image's tables.
struct DiskCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Look for damage in a qcow2 image's tables.",
    discussion: "The status is 0 for a sound image, 1 for a damaged one, 3 if space is lost only.")

  @Argument(help: "The image.")
  var file: String

  @Flag(help: "Put its counts right.")
  var repair = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    var opener = DiskOpener()
    opener.isReadOnly = !repair
    let image = try DiskCommand.speaking(of: file) { [opener] () throws(DiskError) in
      try opener.image(file)
    }
    guard let image = image as? QCOW2Image else {
      throw Failure("\(file) is raw: it has no tables, so there is nothing to check.")
    }
    var report = try DiskCommand.speaking(of: file) { () throws(DiskError) in
      try image.check(repairing: repair)
    }
    let found = report
    if repair && !report.isClean {
      report = try DiskCommand.speaking(of: file) { () throws(DiskError) in try image.check() }
    }
    print(json ? try DiskCommand.json(report) : Self.text(found, after: report))
    if report.corruptions > 0 { throw Failure(nil, status: 1) }
    if report.leaks > 0 { throw Failure(nil, status: 3) }
  }

  private static func text(_ found: QCOW2Report, after: QCOW2Report) -> String {
    var lines: [String] = []
    if found.isClean { lines.append("The image is sound.") }
    if found.corruptions > 0 { lines.append("\(found.corruptions) errors that may destroy data") }
    if found.leaks > 0 { lines.append("\(found.leaks) clusters are lost: space, no data") }
    if !found.isClean && after.isClean { lines.append("All of it is repaired.") }
    lines.append(
      "\(after.allocatedClusters) of \(after.totalClusters) clusters are in the image, "
        + "\(after.compressedClusters) of them compressed, \(after.fragmentedClusters) out of order"
    )
    lines.append("it ends at \(after.imageEnd)")
    return lines.joined(separator: "\n")
  }
}
