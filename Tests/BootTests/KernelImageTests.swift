import Boot
import GuestMemory
import SeededRandom
import Testing

private func identify(_ file: [UInt8]) throws -> KernelImage {
  try KernelImage.identify(file.span.bytes)
}

@Test func `a bzImage is recognised and its header read`() throws {
  let file = Sample.bzImage()

  let image = try identify(file)

  guard case .bzImage(let kernel) = image else {
    Issue.record("not a bzImage but \(image)")
    return
  }
  #expect(kernel.protocolVersion == 0x20f)
  #expect(kernel.systemRange == 1024..<1024 + 0x1_0000)
  #expect(kernel.payload == 0x800..<0x2800)
  #expect(kernel.loadAddress == 0x100_0000)
  #expect(kernel.initSize == 0x20_0000)
  #expect(kernel.header.commandLineLimit == 64)
}

@Test func `an ELF kernel is recognised, with its PVH entry`() throws {
  let file = Sample.elf()

  let image = try identify(file)

  guard case .elf(let kernel) = image else {
    Issue.record("not an ELF kernel but \(image)")
    return
  }
  #expect(kernel.entry == 0x100_0000)
  #expect(kernel.occupied == 0x100_0000..<0x120_5000)
  #expect(kernel.pvhEntry(in: file.span.bytes) == 0x100_0040)
}

@Test func `a virtual entry point is translated`() throws {
  var file = Sample.elf()
  file.put(UInt64(0xffff_ffff_8020_0010), at: 24)

  let image = try identify(file)

  guard case .elf(let kernel) = image else { return }
  #expect(kernel.entry == 0x120_0010)
}

@Test func `a bzImage that cannot be started says why`() {
  var old = Sample.bzImage()
  old.put(UInt16(0x205), at: 0x206)
  #expect(throws: KernelImageError.oldBootProtocol(0x205)) { try identify(old) }

  var narrow = Sample.bzImage()
  narrow.put(UInt16(0x7e), at: 0x236)
  #expect(throws: KernelImageError.no64BitEntry) { try identify(narrow) }

  let short = Array(Sample.bzImage().dropLast(100))
  let expected = KernelImageError.truncated(
    expected: UInt64(short.count) + 100, present: UInt64(short.count))
  #expect(throws: expected) { try identify(short) }
}

@Test func `an ELF kernel that cannot be loaded says why`() {
  var outside = Sample.elf()
  outside.put(UInt64(0x2f00), at: 64 + 8)
  #expect(throws: KernelImageError.brokenELF(.segmentOutsideFile(index: 0))) {
    try identify(outside)
  }

  var wrapping = Sample.elf()
  wrapping.put(UInt64.max, at: 64 + 56 + 24)
  #expect(throws: KernelImageError.brokenELF(.segmentAddressOverflow(index: 1))) {
    try identify(wrapping)
  }

  var lost = Sample.elf()
  lost.put(UInt64(0x10), at: 24)
  #expect(throws: KernelImageError.brokenELF(.entryOutsideSegments(0x10))) { try identify(lost) }
}

/// Files that are no kernels, and what they are called.
private let strangers: [(file: [UInt8], phrase: String)] = {
  var list: [(file: [UInt8], phrase: String)] = []
  func add(_ phrase: String, _ head: [UInt8], zeros: Int = 0, then text: String = "") {
    list.append((head + [UInt8](repeating: 0, count: zeros) + Array(text.utf8), phrase))
  }
  let elf: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
  add("an empty file", [])
  add("a file of zeros", [0, 0, 0, 0])
  add("a script", Array("#!/bin/sh".utf8))
  add("a text file", Array("hello, kernel".utf8))
  add("a gzip stream", [0x1f, 0x8b, 8, 0])
  add("an xz stream", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0])
  add("a zstd stream", [0x28, 0xb5, 0x2f, 0xfd])
  add("an lz4 stream", [0x02, 0x21, 0x4c, 0x18])
  add("a Debian package", Array("!<arch>\ndebian-binary".utf8))
  add("a cpio archive (an initial RAM disk, perhaps)", Array("070701000".utf8))
  add("a qcow2 disk image", [0x51, 0x46, 0x49, 0xfb])
  add("a 32-bit ELF file", elf + [1, 1, 1], zeros: 9, then: "\u{2}\0\u{3}\0")
  add("an ELF file for RISC-V", elf + [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 243, 0])
  add("an EFI or Windows program (PE)", [0x4d, 0x5a], zeros: 58, then: "@\0\0\0PE\0\0")
  add("a tar archive", [], zeros: 257, then: "ustar")
  add("an ISO 9660 image", [], zeros: 0x8001, then: "CD001")
  add("data of a kind that Apus does not know", [1, 2, 3, 4])
  return list
}()

@Test func `anything else is named`() {
  for stranger in strangers {
    #expect {
      try identify(stranger.file)
    } throws: { error in
      guard case .notAKernel(let kind) = error as? KernelImageError else { return false }
      return kind.nounPhrase == stranger.phrase
    }
  }
}

@Test(arguments: [Sample.bzImage(), Sample.elf()])
func `no mutation of a kernel's headers traps`(original: [UInt8]) throws {
  let seed: UInt64 = 0x6170_7573
  var random = SeededGenerator(seed: seed)
  let memory = try GuestMemory(size: 64 << 20)
  let interesting: [UInt8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff]
  var accepted = 0

  for _ in 0..<100_000 {
    var file = original
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let offset = Int.random(in: 0..<0x290, using: &random)
      file[offset] =
        Bool.random(using: &random)
        ? .random(in: 0...255, using: &random)
        : interesting[Int.random(in: 0..<interesting.count, using: &random)]
    }
    if Int.random(in: 0..<8, using: &random) == 0 {
      file.removeLast(Int.random(in: 0...file.count, using: &random))
    }
    switch try? identify(file) {
    case .bzImage(let image):
      if (try? image.place(file.span.bytes, in: memory)) != nil { accepted += 1 }
    case .elf(let kernel):
      _ = kernel.pvhEntry(in: file.span.bytes)
      if (try? kernel.place(file.span.bytes, in: memory)) != nil { accepted += 1 }
    case nil: break
    }
  }

  #expect(accepted > 1000, "seed \(seed): mutations should leave some images good")
}
