public import GuestMemory

/// Puts an ELF kernel into guest memory piece by piece, as a decompressor delivers it.
///
/// Nothing is kept but the piece with the headers: a kernel of 50 MB is copied once.
public struct ELFLoader {
  private let memory: GuestMemory
  private let fileSize: UInt64
  /// What has arrived while the headers are incomplete.
  private var head: [UInt8] = []
  private var kernel: ELFKernel?
  private var position: UInt64 = 0

  /// More than any kernel's headers take, and the least that a first piece should have.
  private static let headSize = 4096

  /// A loader for an ELF file of `fileSize` bytes.
  public init(fileSize: UInt64, memory: GuestMemory) {
    self.fileSize = fileSize
    self.memory = memory
  }

  /// Why loading ended early.
  public enum Failure: Error, Hashable {
    case image(KernelImageError)
    case memory(BootError)
  }

  /// Takes the next bytes of the file.
  public mutating func take(_ piece: RawSpan) throws(Failure) {
    if let kernel { return try copy(piece, of: kernel) }
    if head.isEmpty && piece.byteCount >= min(Self.headSize, Int(clamping: fileSize)) {
      return try begin(piece)
    }
    head += piece.bytes(0..<piece.byteCount)
    if head.count >= min(Self.headSize, Int(clamping: fileSize)) {
      let collected = head
      head = []
      try unsafe begin(collected.span.bytes)
    }
  }

  /// The kernel, after the last piece; `header` is that of the image it was found in.
  public func finish(header: SetupHeader? = nil) throws(Failure) -> PlacedKernel {
    guard let kernel, position >= (kernel.segments.map(\.fileRange.upperBound).max() ?? 0) else {
      throw .image(.truncated(expected: fileSize, present: position + UInt64(head.count)))
    }
    return PlacedKernel(
      entry: kernel.entry, occupied: kernel.occupied, header: header ?? SetupHeader())
  }

  private mutating func begin(_ piece: RawSpan) throws(Failure) {
    let kernel: ELFKernel
    do throws(KernelImageError) {
      kernel = try ELFKernel(head: piece, fileSize: fileSize)
    } catch {
      throw .image(error)
    }
    do throws(BootError) {
      let range = kernel.occupied
      _ = try memory.kernelRange(
        at: range.lowerBound, size: range.upperBound - range.lowerBound)
    } catch {
      throw .memory(error)
    }
    self.kernel = kernel
    try copy(piece, of: kernel)
  }

  /// Copies what belongs into memory of the piece at `position`.
  private mutating func copy(_ piece: RawSpan, of kernel: ELFKernel) throws(Failure) {
    let here = position..<position + UInt64(piece.byteCount)
    for segment in kernel.segments where segment.fileRange.overlaps(here) {
      let part = segment.fileRange.clamped(to: here)
      let address = segment.physicalAddress + (part.lowerBound - segment.fileRange.lowerBound)
      let bytes = piece.extracting(
        Int(part.lowerBound - here.lowerBound)..<Int(part.upperBound - here.lowerBound))
      guard memory.place(bytes, at: address) else {
        throw .memory(.kernelAddressUnusable(address..<address + UInt64(part.count)))
      }
    }
    position = here.upperBound
  }
}

extension ELFKernel {
  /// Puts the kernel of a complete file into guest memory.
  public func place(
    _ file: RawSpan, in memory: GuestMemory
  ) throws(ELFLoader.Failure) -> PlacedKernel {
    var loader = ELFLoader(fileSize: UInt64(file.byteCount), memory: memory)
    try loader.take(file)
    return try loader.finish()
  }
}
