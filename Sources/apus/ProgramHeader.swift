/// What the headers of an executable file say about how it is loaded.
///
/// Reference: System V ABI, chapters 4 and 5.
struct ProgramHeader {
  /// Why a library cannot be loaded before it, as the rest of a sentence about it.
  let obstacle: String?

  private static let machineX8664 = 62
  private static let interpreterSegment = 3

  /// - Parameter bytes: The beginning of the file.
  init(_ bytes: [UInt8]) {
    let file = Fields(bytes: bytes)
    guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]), bytes.count >= 64 else {
      obstacle = "is neither an ELF program nor a script."
      return
    }
    guard bytes[4] == 2, file.number(at: 18, size: 2) == Self.machineX8664 else {
      obstacle = "is not a 64-bit x86 program, and the library is for those only."
      return
    }
    guard let interpreter = Self.interpreter(file) else {
      obstacle =
        "is linked statically: it calls the system without the C library, so nothing can stand in "
        + "for /dev/kvm. Use a dynamically linked build of it (of Firecracker, the one for "
        + "x86_64-unknown-linux-gnu), or a host with KVM."
      return
    }
    obstacle =
      interpreter.contains("ld-linux")
      ? nil
      : "is linked with another C library than GNU's (\(interpreter)), which the library needs; "
        + "use a build for GNU/Linux."
  }

  /// The path of the dynamic linker.
  private static func interpreter(_ file: Fields) -> String? {
    let (start, size) = (file.number(at: 32, size: 8), file.number(at: 54, size: 2))
    for index in 0..<file.number(at: 56, size: 2) {
      let header = start &+ index * size
      guard file.number(at: header, size: 4) == interpreterSegment else { continue }
      let offset = file.number(at: header + 8, size: 8)
      guard file.bytes.indices.contains(offset) else { return "?" }
      return String(decoding: file.bytes[offset...].prefix { $0 != 0 }, as: UTF8.self)
    }
    return nil
  }

  private struct Fields {
    let bytes: [UInt8]

    /// A little-endian number; 0 beyond the end.
    func number(at offset: Int, size: Int) -> Int {
      guard offset >= 0, offset < bytes.count, size <= bytes.count - offset else { return 0 }
      let value = bytes[offset..<offset + size].reversed().reduce(UInt64(0)) {
        $0 << 8 | UInt64($1)
      }
      return Int(truncatingIfNeeded: value)
    }
  }
}
