import Bits

/// A piece of ACPI machine language, which the guest interprets to learn of devices.
///
/// Reference: ACPI specification 6.5, chapter 20; resources, section 6.4.
struct AML {
  private(set) var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// `{ … }`, one piece after the other.
  static func sequence(_ pieces: [AML]) -> AML { AML(pieces.flatMap(\.bytes)) }

  /// `Name (name, value)`
  static func name(_ name: String, _ value: AML) -> AML {
    AML([0x08] + path(name) + value.bytes)
  }

  /// `Scope (name) { … }`
  static func scope(_ name: String, _ body: [AML]) -> AML {
    AML([0x10] + measured(path(name) + body.flatMap(\.bytes)))
  }

  /// `Device (name) { … }`
  static func device(_ name: String, _ body: [AML]) -> AML {
    AML([0x5b, 0x82] + measured(path(name) + body.flatMap(\.bytes)))
  }

  /// `Package () { … }`
  static func package(_ elements: [AML]) -> AML {
    AML([0x12] + measured([UInt8(elements.count)] + elements.flatMap(\.bytes)))
  }

  /// An integer constant in its shortest form.
  static func integer(_ value: UInt32) -> AML {
    var bytes: [UInt8] = []
    switch value {
    case 0, 1: bytes = [UInt8(value)]
    case ...0xff: bytes = [0x0a, UInt8(value)]
    case ...0xffff:
      bytes = [0x0b]
      bytes.append(little: UInt16(value))
    default:
      bytes = [0x0c]
      bytes.append(little: value)
    }
    return AML(bytes)
  }

  static func string(_ text: String) -> AML { AML([0x0d] + text.utf8 + [0]) }

  /// `EisaId ("PNP0501")`: three letters of five bits, then four hexadecimal digits.
  static func eisaIdentifier(_ text: String) -> AML {
    let letters = text.utf8.prefix(3).reduce(UInt32(0)) { $0 << 5 | UInt32($1 & 0x1f) }
    let number = UInt32(text.dropFirst(3), radix: 16) ?? 0
    var bytes: [UInt8] = [0x0c]
    bytes.append(little: (letters << 16 | number).byteSwapped)
    return AML(bytes)
  }

  /// One segment of a path: four characters, padded.
  private static func path(_ name: String) -> [UInt8] {
    let segment = name.utf8.prefix(4)
    return Array(segment) + [UInt8](repeating: 0x5f, count: 4 - segment.count)
  }

  /// `body` behind its length, which counts its own one to four bytes.
  static func measured(_ body: [UInt8]) -> [UInt8] {
    if body.count + 1 < 0x40 { return [UInt8(body.count + 1)] + body }
    for extra in 1...3 {
      let length = body.count + 1 + extra
      if length >> (4 + 8 * extra) != 0 { continue }
      let rest = (0..<extra).map { UInt8(truncatingIfNeeded: length >> (4 + 8 * $0)) }
      return [UInt8(extra << 6 | length & 0xf)] + rest + body
    }
    preconditionFailure("an AML package is longer than 256 MiB")
  }
}
