import Foundation

/// Files made for tests: the smallest that are right, to be made wrong one byte at a time.
enum Sample {
  /// A bzImage with one setup sector, 64 KiB of system and an 8 KiB payload.
  static func bzImage() -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 1024 + 0x1_0000)
    file[0x1f1] = 1
    file.put(UInt32(0x1000), at: 0x1f4)
    file.put(UInt16(0xaa55), at: 0x1fe)
    file.put([0xeb, 0x6a] + Array("HdrS".utf8), at: 0x200)
    file.put(UInt16(0x20f), at: 0x206)
    file.put(UInt32(0x7fff_ffff), at: 0x22c)
    file.put(UInt16(0x7f), at: 0x236)
    file.put(UInt32(64), at: 0x238)
    file.put(UInt32(0x400), at: 0x248)
    file.put(UInt32(0x2000), at: 0x24c)
    file.put(UInt64(0x100_0000), at: 0x258)
    file.put(UInt32(0x20_0000), at: 0x260)
    for index in 0x600..<0x700 { file[index] = UInt8(truncatingIfNeeded: index) }
    return file
  }

  /// An ELF kernel: notes, a segment at 16 MiB, a second one whose memory is larger.
  static func elf() -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 0x3000)
    file.put([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], at: 0)
    file.put(UInt16(2), at: 16)
    file.put(UInt16(62), at: 18)
    file.put(UInt64(0x100_0000), at: 24)
    file.put(UInt64(64), at: 32)
    file.put(UInt16(56), at: 54)
    file.put(UInt16(3), at: 56)
    let high: UInt64 = 0xffff_ffff_8000_0000
    programHeader(0, type: 1, [0x1000, high, 0x100_0000, 0x800, 0x800], in: &file)
    programHeader(1, type: 1, [0x1800, high + 0x20_0000, 0x120_0000, 0x800, 0x5000], in: &file)
    programHeader(2, type: 4, [0x2000, 0, 0, 36, 36], in: &file)
    for index in 0x1000..<0x2000 { file[index] = UInt8(truncatingIfNeeded: index / 3) }
    // Another vendor's note, then the entry point of PVH.
    file.put([4, 0, 0, 0, 0, 0, 0, 0, 18, 0, 0, 0] + Array("GNU\0".utf8), at: 0x2000)
    file.put([4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0] + Array("Xen\0".utf8), at: 0x2010)
    file.put(UInt32(0x100_0040), at: 0x2020)
    return file
  }

  static func programHeader(
    _ index: Int, type: UInt32, _ fields: [UInt64], in file: inout [UInt8]
  ) {
    file.put(type, at: 64 + index * 56)
    for (number, field) in fields.enumerated() {
      file.put(field, at: 64 + index * 56 + 8 + number * 8)
    }
  }
}

extension [UInt8] {
  mutating func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
    for index in 0..<Value.bitWidth / 8 {
      self[offset + index] = UInt8(truncatingIfNeeded: value >> Value(8 * index))
    }
  }

  mutating func put(_ bytes: [UInt8], at offset: Int) {
    replaceSubrange(offset..<offset + bytes.count, with: bytes)
  }
}

/// Runs a program to its end; its output is what it wrote to both streams.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let output = pipe.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

/// A directory that is removed with everything in it after `body`.
func withTemporaryDirectory<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let directory = FileManager.default.temporaryDirectory
    .appending(path: "apus-test-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: directory) }
  return try body(directory)
}
