import Foundation

/// One recorded case: an instruction, the processor and memory before it, and what it changed.
struct RecordedCase: Decodable {
  struct State: Decodable {
    var regs: [String: UInt16]
    /// Pairs of physical address and byte.
    var ram: [[UInt32]]
  }
  struct Exception: Decodable { var number: UInt8 }

  var name: String
  var bytes: [UInt8]
  var initial: State
  var final: State
  var exception: Exception?
}

/// Where the recorded cases are: `APUS_SHARED_DATA`, or beside the checkout.
enum RecordedData {
  static var folder: URL? {
    let environment = ProcessInfo.processInfo.environment["APUS_SHARED_DATA"]
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let data = environment.map { URL(filePath: $0) } ?? root.appending(path: "shared/data")
    let folder = data.appending(path: "realmode-286")
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }

  /// The forms, by opcode and ModRM field (`F7.4`).
  static func forms(in folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".jsonl.gz") }.map { String($0.dropLast(9)) }.sorted()
  }

  static func cases(of form: String, in folder: URL) throws -> [RecordedCase] {
    let text = try unpacked(folder.appending(path: form + ".jsonl.gz"))
    let decoder = JSONDecoder()
    return try text.split(separator: 10).map { try decoder.decode(RecordedCase.self, from: $0) }
  }

  private static func unpacked(_ file: URL) throws -> Data {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["gzip", "-dc", file.path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return data
  }

  /// The flags that each form defines.
  static func definedFlags(in folder: URL) throws -> [String: UInt16] {
    let data = try Data(contentsOf: folder.appending(path: "metadata.json"))
    let metadata = try JSONDecoder().decode(Metadata.self, from: data)
    var masks: [String: UInt16] = [:]
    for (opcode, entry) in metadata.opcodes {
      masks[opcode] = entry.mask
      for (field, group) in entry.reg ?? [:] { masks["\(opcode).\(field)"] = group.mask }
    }
    return masks
  }

  private struct Metadata: Decodable {
    struct Group: Decodable {
      var mask: UInt16?
      enum CodingKeys: String, CodingKey { case mask = "flags-mask" }
    }
    struct Entry: Decodable {
      var mask: UInt16?
      var reg: [String: Group]?
      enum CodingKeys: String, CodingKey {
        case mask = "flags-mask"
        case reg
      }
    }
    var opcodes: [String: Entry]
  }
}
