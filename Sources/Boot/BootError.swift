/// Why a kernel cannot be started in this memory with these arguments.
public enum BootError: Error, Hashable {
  /// The guest's RAM below 3 GiB must reach this address at least.
  case tooLittleMemory(needed: UInt64)
  /// A part of the kernel wants an address where the guest has no RAM, or where Apus keeps tables.
  case kernelAddressUnusable(Range<UInt64>)
  /// The kernel takes this many bytes of command line and was given more.
  case commandLineTooLong(count: Int, limit: Int)
  /// A zero byte would end the command line early.
  case commandLineHasZeroByte
  /// No place between the kernel and the highest address the kernel accepts.
  case initrdTooLarge(size: Int, room: UInt64)
  /// The ACPI tables for so many processors outgrow their place.
  case tooManyProcessors(Int)
}

/// Why the bytes of a file cannot be booted as a kernel.
public enum KernelImageError: Error, Hashable {
  /// The file is something else.
  case notAKernel(FileKind)
  /// The file ends before what its own header promises.
  case truncated(expected: UInt64, present: UInt64)
  /// The Linux boot protocol of the image is older than 2.06.
  case oldBootProtocol(UInt16)
  /// A Linux kernel without a 64-bit entry point: built for 32-bit processors.
  case no64BitEntry
  /// An ELF kernel whose headers contradict themselves or the file.
  case brokenELF(ELFDefect)
}

/// What is wrong with an ELF file's headers.
public enum ELFDefect: Hashable, Sendable {
  case programHeaderSize(UInt16)
  case programHeadersOutsideFile
  case segmentOutsideFile(index: Int)
  case segmentLargerThanItsMemory(index: Int)
  case segmentAddressOverflow(index: Int)
  case nothingToLoad
  case entryOutsideSegments(UInt64)
}
