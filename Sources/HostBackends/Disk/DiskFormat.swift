/// How the bytes of a disk lie in its file.
enum DiskFormat: Hashable {
  case qcow2
  /// One that Apus knows by its first bytes only.
  case foreign(String)

  /// Recognises a format by a file's first bytes; `nil` for what can only be raw.
  init?(_ head: [UInt8]) {
    let match = Self.signatures.first { head.starts(with: $0.bytes) }
    guard let match else { return nil }
    self = match.format
  }

  private static let signatures: [(bytes: [UInt8], format: Self)] = [
    ([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 1], .foreign("qcow")),
    ([0x51, 0x46, 0x49, 0xfb], .qcow2),
    (Array("KDMV".utf8), .foreign("VMDK")),
    (Array("COWD".utf8), .foreign("VMDK")),
    (Array("conectix".utf8), .foreign("VHD")),
    (Array("vhdxfile".utf8), .foreign("VHDX")),
    (Array("QED\0".utf8), .foreign("QED")),
    (Array("<<< ".utf8), .foreign("VDI")),
  ]
}
