import ArgumentParser
import HostBackends
import Machine

/// Makes a disk larger or smaller.
struct DiskResizing: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize", abstract: "Make a disk larger or smaller.",
    discussion: "What is on it does not change; partitions and file systems are the guest's matter."
  )

  @Argument(help: "The image.")
  var file: String

  @Argument(help: "How large: a number and K, M, G or T, or with + in front, how much larger.")
  var size: String

  @Flag(help: "Lose what is behind the disk's new end.")
  var shrink = false

  func run() throws {
    let old = try DiskCommand.speaking(of: file) { () throws(DiskError) in
      try DiskDescription(file).virtualSize
    }
    let isMore = size.hasPrefix("+")
    guard let amount = ByteCount(isMore ? size.dropFirst() : size[...]) else {
      throw ValidationError("'\(size)' is no size; write a number and K, M, G or T.")
    }
    let sum = (isMore ? old : 0).addingReportingOverflow(amount.bytes)
    guard !sum.overflow, sum.partialValue > 0, sum.partialValue < 1 << 62 else {
      throw ValidationError("'\(size)' is no size for a disk.")
    }
    if sum.partialValue < old && !shrink {
      throw Failure(
        "\(file) has \(old) bytes and would lose its end; say so with --shrink if that is meant.")
    }
    try DiskCommand.speaking(of: file) { () throws(DiskError) in
      try DiskResize.resize(file, to: sum.partialValue)
    }
  }
}
