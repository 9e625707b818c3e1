/// A kernel that Apus can start, recognised from the bytes of its file.
public enum KernelImage: Hashable, Sendable {
  /// A Linux kernel as distributions ship it: real-mode setup, decompressor, compressed payload.
  case bzImage(BzImage)
  /// An ELF kernel for x86-64, such as Linux's `vmlinux`.
  case elf(ELFKernel)

  /// Recognises a kernel; everything in the file is checked before it is believed.
  public static func identify(_ file: RawSpan) throws(KernelImageError) -> KernelImage {
    if BzImage.isRecognized(file) { return .bzImage(try BzImage(file)) }
    if file.matches(ELFKernel.magic) {
      return .elf(try ELFKernel(head: file, fileSize: UInt64(file.byteCount)))
    }
    throw .notAKernel(FileKind.identify(file))
  }
}
