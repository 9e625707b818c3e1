/// What a file that is no bootable kernel turned out to be.
public enum FileKind: Hashable, Sendable {
  case empty
  case zeros
  case text
  case script
  case elf32
  case elfForMachine(UInt16)
  case elfObject
  case elfUserProgram
  /// With the article: "a gzip".
  case compressed(String)
  case other(String)
  case unknown

  /// A noun phrase for "… is not a kernel but …".
  public var nounPhrase: String {
    switch self {
    case .empty: "an empty file"
    case .zeros: "a file of zeros"
    case .text: "a text file"
    case .script: "a script"
    case .elf32: "a 32-bit ELF file"
    case .elfForMachine(let number): "an ELF file for \(Self.machineName(number))"
    case .elfObject: "an ELF object file or library, not linked for booting"
    case .elfUserProgram: "a program for user space"
    case .compressed(let format): "\(format) stream"
    case .other(let phrase): phrase
    case .unknown: "data of a kind that Apus does not know"
    }
  }

  private static func machineName(_ number: UInt16) -> String {
    switch number {
    case 3: "32-bit x86"
    case 8: "MIPS"
    case 20, 21: "PowerPC"
    case 22: "IBM Z"
    case 40: "32-bit ARM"
    case 183: "64-bit ARM"
    case 243: "RISC-V"
    case 258: "LoongArch"
    default: "another processor (ELF machine \(number))"
    }
  }

  /// Recognises a file by its first bytes.
  static func identify(_ file: RawSpan) -> FileKind {
    if file.byteCount == 0 { return .empty }
    for signature in Signature.all where file.matches(signature.bytes, at: signature.offset) {
      return signature.kind
    }
    if file.matches("MZ") { return windowsProgram(file) }
    if file.matches([0x55, 0xaa], at: 510) { return .other("a disk image with a boot sector") }
    return contents(of: file)
  }

  /// PE files, and the kernels of other architectures that pretend to be one.
  private static func windowsProgram(_ file: RawSpan) -> FileKind {
    if file.matches("ARM\u{64}", at: 56) { return .other("a Linux kernel for 64-bit ARM") }
    if file.matches("RSC\u{5}", at: 56) { return .other("a Linux kernel for RISC-V") }
    let header: UInt32? = file.integer(at: 60)
    if let header, file.matches("PE\0\0", at: UInt64(header)) {
      return .other("an EFI or Windows program (PE)")
    }
    return .other("a DOS program")
  }

  /// Text, zeros or neither, judged by the first page.
  private static func contents(of file: RawSpan) -> FileKind {
    let head = file.bytes(0..<min(file.byteCount, 4096))
    if head.allSatisfy({ $0 == 0 }) { return .zeros }
    let isText = head.allSatisfy { $0 >= 0x20 && $0 != 0x7f || (9...13).contains($0) }
    return isText ? .text : .unknown
  }
}

/// Bytes by which a kind of file is known.
private struct Signature {
  let bytes: [UInt8]
  let offset: UInt64
  let kind: FileKind

  init(_ bytes: [UInt8], at offset: UInt64 = 0, _ kind: FileKind) {
    (self.bytes, self.offset, self.kind) = (bytes, offset, kind)
  }

  init(_ text: String, at offset: UInt64 = 0, _ kind: FileKind) {
    self.init([UInt8](text.utf8), at: offset, kind)
  }

  /// In the order in which they are tried: a longer match before one of its beginnings.
  static let all: [Signature] = [
    Signature("#!", .script),
    Signature([0x1f, 0x8b], .compressed("a gzip")),
    Signature([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], .compressed("an xz")),
    Signature([0x28, 0xb5, 0x2f, 0xfd], .compressed("a zstd")),
    Signature([0x04, 0x22, 0x4d, 0x18], .compressed("an lz4")),
    Signature([0x02, 0x21, 0x4c, 0x18], .compressed("an lz4")),
    Signature("BZh", .compressed("a bzip2")),
    Signature([0x5d, 0, 0], .compressed("an lzma")),
    Signature([0x89, 0x4c, 0x5a, 0x4f], .compressed("an lzop")),
    Signature("!<arch>\ndebian", .other("a Debian package")),
    Signature("!<arch>\n", .other("a static library")),
    Signature([0xed, 0xab, 0xee, 0xdb], .other("an RPM package")),
    Signature("070701", .other("a cpio archive (an initial RAM disk, perhaps)")),
    Signature("070702", .other("a cpio archive (an initial RAM disk, perhaps)")),
    Signature("070707", .other("a cpio archive (an initial RAM disk, perhaps)")),
    Signature("ustar", at: 257, .other("a tar archive")),
    Signature("PK\u{3}\u{4}", .other("a zip archive")),
    Signature("QFI\u{fb}".unicodeScalars.map { UInt8($0.value) }, .other("a qcow2 disk image")),
    Signature("KDMV", .other("a VMDK disk image")),
    Signature("vhdxfile", .other("a VHDX disk image")),
    Signature("hsqs", .other("a SquashFS image")),
    Signature("CD001", at: 0x8001, .other("an ISO 9660 image")),
    Signature([0x53, 0xef], at: 0x438, .other("an ext2, ext3 or ext4 file system image")),
    Signature([0x27, 0x05, 0x19, 0x56], .other("a U-Boot image")),
    Signature([0xd0, 0x0d, 0xfe, 0xed], .other("a device tree or FIT image")),
  ]
}
