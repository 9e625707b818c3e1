import ArgumentParser
import FoundationEssentials
import HostBackends
import Machine

/// What people do with disk images apart from running machines.
struct DiskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disk",
    abstract: "Make, look at, copy and mend disk images.",
    subcommands: [
      DiskCreate.self, DiskInfo.self, DiskConvert.self, DiskResizing.self, DiskCheck.self,
    ])

  /// Runs `body`; what is wrong with the image at `path` ends the command with a sentence.
  static func speaking<Result>(
    of path: String, _ body: () throws(DiskError) -> Result
  ) throws(Failure) -> Result {
    do throws(DiskError) {
      return try body()
    } catch {
      throw Failure(error.sentence(about: path))
    }
  }

  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  /// A size that people read, with its bytes: "64M (67108864 bytes)".
  static func size(_ bytes: UInt64) -> String {
    bytes >= 1 << 20 ? "\(ByteCount(bytes: bytes)) (\(bytes) bytes)" : "\(bytes) bytes"
  }
}

extension DiskOptions.Format: ExpressibleByArgument {}
